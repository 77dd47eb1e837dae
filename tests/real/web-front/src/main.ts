import { double } from "./double.js";

const shown: string = `twice four is ${double(4)}`;
document.body.textContent = shown;
