import { WebSocketServer } from 'ws';
import { environment } from './environment.js';

/** WebSocket at /ws: says hello, echoes what it is told, and passes on the states of orders. */
export function createSockets(server) {
  const sockets = new WebSocketServer({ server, path: '/ws', maxPayload: 4_096 });
  sockets.on('connection', (socket) => {
    socket.on('error', () => socket.terminate());
    socket.on('message', (data) => send(socket, { type: 'echo', text: data.toString() }));
    send(socket, { type: 'hello', commit: environment.commit, environment: environment.name });
  });
  return {
    broadcast(state) {
      for (const socket of sockets.clients) send(socket, { type: 'order', ...state });
    },
    close() {
      // 1001: going away. Browsers come back to the new release.
      for (const socket of sockets.clients) socket.close(1001);
      sockets.close();
    },
  };
}

function send(socket, message) {
  if (socket.readyState === socket.OPEN) socket.send(JSON.stringify(message));
}
