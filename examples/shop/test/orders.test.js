import assert from 'node:assert/strict';
import { test } from 'node:test';
import { html } from '../src/html.js';
import { OrderProblem, readOrder } from '../src/orders.js';

test('a form names plants by quantity fields and leaves the empty ones out', () => {
  const order = readOrder({
    name: ' Ada ',
    email: 'ADA@example.com',
    'quantity-olive': '2',
    'quantity-birch': '',
  });
  assert.deepEqual(order, {
    name: 'Ada',
    email: 'ada@example.com',
    lines: [{ product: 'olive', quantity: 2 }],
  });
});

for (const [what, body] of [
  ['no plants', { name: 'Ada', email: 'ada@example.com' }],
  ['a fraction', { name: 'Ada', email: 'ada@example.com', 'quantity-olive': '1.5' }],
  ['too many', { name: 'Ada', email: 'ada@example.com', 'quantity-olive': '21' }],
  ['no address', { name: 'Ada', email: 'ada', 'quantity-olive': '1' }],
  [
    'the same plant twice',
    { name: 'Ada', email: 'a@b', lines: [1, 1].map(() => ({ product: 'olive', quantity: 1 })) },
  ],
]) {
  test(`an order with ${what} is refused`, () => {
    assert.throws(() => readOrder(body), OrderProblem);
  });
}

test('what customers write is escaped', () => {
  assert.equal(html`<p>${'<script>'}</p>`.toString(), '<p>&#60;script&#62;</p>');
});
