import { html, money } from './html.js';

export function productCard(product) {
  return html`<li class="card">
    <img src="/assets/images/${product.slug}.svg" alt="" width="240" height="200" loading="lazy" />
    <h3>${product.name}</h3>
    <p>${product.description}</p>
    <div class="buy">
      <strong>${money(product.priceCents)}</strong>
      <label>
        <span class="hidden">Number of ${product.name}</span>
        <input type="number" name="quantity-${product.slug}" form="order" min="0" max="20" placeholder="0" />
      </label>
    </div>
  </li>`;
}
