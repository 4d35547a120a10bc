import { problemsOf, publishedSchema } from './published-schema.ts';

/** Problems of an answer against what GitHub publishes for the operation; errors (4xx, 5xx) are not described. */
export function validateAnswer(answer: { operationId: string; status: number; body: unknown }): string[] {
  const operation = publishedSchema.operations.find(
    (candidate) => candidate.operationId === answer.operationId,
  );
  if (!operation) return [`${answer.operationId} is not among the operations in operations.json`];
  if (answer.status >= 300) return [];
  const response = operation.responses.find((candidate) => candidate.status === answer.status);
  if (!response) return [`${answer.operationId} does not answer ${answer.status}`];
  return response.schema ? problemsOf(response.schema, answer.body) : [];
}

/** Problems of a webhook's payload. `name` is GitHub's name of it, for instance `pull-request-opened` or `push`. */
export function validateWebhook(name: string, payload: unknown): string[] {
  const webhook = publishedSchema.webhooks.find((candidate) => candidate.name === name);
  return webhook
    ? problemsOf(webhook.schema, payload)
    : [`${name} is not among the webhooks in operations.json`];
}
