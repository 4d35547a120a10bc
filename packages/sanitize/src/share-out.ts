/**
 * Has several sessions work through the tasks, each taking the next one when it is done with its last. Results are in the
 * order of the tasks. After a failure no task is begun any more; those under way are waited for, since their sessions are
 * closed next.
 */
export async function shareOut<Session, Task, Result>(
  sessions: readonly Session[],
  tasks: readonly Task[],
  perform: (session: Session, task: Task) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  const waiting = tasks.entries();
  let failed = false;
  const work = async (session: Session) => {
    for (const [index, task] of waiting) {
      try {
        results[index] = await perform(session, task);
      } catch (error) {
        failed = true;
        throw error;
      }
      if (failed) return;
    }
  };
  for (const outcome of await Promise.allSettled(sessions.map(work)))
    if (outcome.status === 'rejected') throw outcome.reason;
  return results;
}
