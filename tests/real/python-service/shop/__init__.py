from flask import Flask, jsonify

app = Flask(__name__)
PRICES = {"bread": 3, "milk": 2}


@app.get("/health")
def health():
    return "ok"


@app.get("/price/<name>")
def price(name):
    if name not in PRICES:
        return jsonify(error="unknown"), 404
    return jsonify(name=name, price=PRICES[name])
