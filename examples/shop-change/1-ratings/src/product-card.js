import { html, money } from './html.js';

export function productCard(product) {
  return html`<li class="card">
    <img src="/assets/images/${product.slug}.svg" alt="" width="240" height="200" loading="lazy" />
    <h3>${product.name}</h3>
    ${stars(product.rating)}
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

function stars(rating) {
  if (rating === null) return html`<p class="stars">not rated yet</p>`;
  const full = Math.round(rating);
  return html`<p class="stars" title="${rating} of 5">${'★'.repeat(full)}${'☆'.repeat(5 - full)} ${rating.toFixed(1)}</p>`;
}
