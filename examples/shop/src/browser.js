// Keeps the states of orders on the page current. Without it the page works, and shows them on the next visit.
function connect() {
  const socket = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/ws`);
  socket.addEventListener('message', ({ data }) => {
    const message = JSON.parse(data);
    if (message.type !== 'order') return;
    for (const badge of document.querySelectorAll(`[data-order="${message.id}"]`)) {
      badge.textContent = message.state;
      badge.className = `state ${message.state}`;
    }
  });
  socket.addEventListener('close', () => setTimeout(connect, 2_000));
}
connect();
