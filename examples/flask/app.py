"""One page on port 5000: by Flask where it is installed, else by http.server."""

import os

GREETING = os.environ.get("GREETING", "Hello")
PAGE = f"<h1>{GREETING}!</h1>\n"

try:
    from flask import Flask
except ImportError:
    Flask = None


def serve_by_flask():
    app = Flask(__name__)

    @app.route("/")
    def index():
        return PAGE

    app.run(host="0.0.0.0", port=5000)


def serve_by_http_server():
    from http.server import BaseHTTPRequestHandler, HTTPServer

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = PAGE.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    HTTPServer(("0.0.0.0", 5000), Handler).serve_forever()


if __name__ == "__main__":
    try:
        serve_by_flask() if Flask else serve_by_http_server()
    except KeyboardInterrupt:
        pass
