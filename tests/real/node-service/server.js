const http = require('node:http');
const { render } = require('./app.js');

const server = http.createServer((request, response) => response.end(render(request.url.slice(1))));
server.listen(0, '127.0.0.1', async () => {
  const answer = await fetch(`http://127.0.0.1:${server.address().port}/1.2.3`);
  console.log(await answer.text());
  server.close();
});
