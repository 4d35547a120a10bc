import { announcement } from './announcement.js';
import { environment } from './environment.js';
import { count, html, money } from './html.js';
import { productCard } from './product-card.js';
import { release } from './release.js';

export function layout(title, status, content) {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8" />
<meta name="viewport" content="width=device-width, initial-scale=1" />
<meta name="color-scheme" content="light dark" />
<title>${title} · ${environment.shopName}</title>
<link rel="icon" href="/assets/images/silver-fir.svg" />
<link rel="stylesheet" href="/assets/${release.stylesheet}" />
<script type="module" src="/assets/${release.script}"></script>
</head>
<body>
<p class="announcement">${announcement}</p>
<header>
  <a class="brand" href="/">${environment.shopName}</a>
  <span class="badge ${status.environmentKind}">${status.environment}</span>
</header>
<main>${content}</main>
${footer(status)}
</body>
</html>`.toString();
}

function footer(status) {
  const facts = [
    ['Environment', `${status.environment} (${status.environmentKind})`],
    ['Commit', status.commit.slice(0, 12)],
    ['Branch', status.branch],
    ['Deployment', status.deployment],
    ['Last migration', status.migrations.at(-1)],
    ['Node.js', status.versions.node],
    ['PostgreSQL', status.versions.postgresql],
    ['Customers', count(status.rowCounts.customers)],
    ['Orders', count(status.rowCounts.orders)],
    ['Order lines', count(status.rowCounts.order_lines)],
    ['Receipts on disk', count(status.receipts)],
    ['In the queue', status.queued ?? 'unknown'],
  ];
  return html`<footer>
  <h2>What you are looking at</h2>
  <dl>${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
</footer>`;
}

export function shopPage({ status, products, orders, receipts }) {
  return layout(
    'Plants',
    status,
    html`<section>
  <h1>Plants for people who forget to water</h1>
  <ul class="grid">${products.map(productCard)}</ul>
</section>
<section class="columns">
  <form id="order" class="panel" method="post" action="/orders">
    <h2>Your basket</h2>
    <p>Choose numbers above, then tell us who you are.</p>
    <label>Name <input name="name" autocomplete="name" required maxlength="100" /></label>
    <label>E-mail <input name="email" type="email" autocomplete="email" required maxlength="250" /></label>
    <button>Place order</button>
  </form>
  <div class="panel">
    <h2>Latest orders</h2>
    <table>
      <thead><tr><th>Order</th><th>Customer</th><th>Plants</th><th>Total</th><th>State</th></tr></thead>
      <tbody>${orders.map(orderRow)}</tbody>
    </table>
    <h2>Receipts</h2>
    ${receiptList(receipts)}
  </div>
</section>`,
  );
}

function orderRow(order) {
  return html`<tr>
  <td><a href="/orders/${order.id}">${order.id}</a></td>
  <td>${order.customer}</td>
  <td>${order.plants}</td>
  <td>${money(order.totalCents)}</td>
  <td>${stateBadge(order)}</td>
</tr>`;
}

function stateBadge(order) {
  return html`<span class="state ${order.state}" data-order="${order.id}">${order.state}</span>`;
}

function receiptList(receipts) {
  if (receipts.count === 0) return html`<p>None yet. The worker writes one for every order it packs.</p>`;
  return html`<ul class="receipts">${receipts.latest.map((name) => html`<li><a href="/receipts/${name}">${name}</a></li>`)}</ul>`;
}

export function orderPage({ status, order }) {
  return layout(
    `Order ${order.id}`,
    status,
    html`<section class="panel narrow">
  <h1>Order ${order.id} ${stateBadge(order)}</h1>
  <p>Thank you, ${order.customer}.</p>
  <table>
    <tbody>${order.lines.map(
      (line) =>
        html`<tr><td>${line.quantity} × ${line.name}</td><td>${money(line.quantity * line.priceCents)}</td></tr>`,
    )}</tbody>
    <tfoot><tr><th>Total</th><th>${money(order.totalCents)}</th></tr></tfoot>
  </table>
  ${order.receipt ? html`<p><a href="/receipts/${order.receipt}">Receipt</a></p>` : html`<p>The receipt comes when it is packed.</p>`}
  <p><a href="/">Back to the shop</a></p>
</section>`,
  );
}

export function messagePage({ status, title, message }) {
  return layout(
    title,
    status,
    html`<section class="panel narrow"><h1>${title}</h1><p>${message}</p><p><a href="/">Back to the shop</a></p></section>`,
  );
}
