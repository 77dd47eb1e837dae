const assert = require('node:assert');
const test = require('node:test');
const { render } = require('../app.js');

test('a template', () => assert.strictEqual(render('1.2.3'), '1.3.0 big 172800000'));
