import unittest

from shop import app


class Shop(unittest.TestCase):
    def test_price(self):
        answer = app.test_client().get("/price/milk")
        self.assertEqual(answer.get_json()["price"], 2)

    def test_unknown(self):
        self.assertEqual(app.test_client().get("/price/x").status_code, 404)
