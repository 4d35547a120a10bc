/** What an environment is for, in its written form: `production`, `pull/7`, `branch/feature/x`. */
export type SubjectKey = string;

export type Subject =
  | { readonly kind: 'production' }
  | { readonly kind: 'pull'; readonly number: number }
  | { readonly kind: 'branch'; readonly branch: string };

export function subjectKey(subject: Subject): SubjectKey {
  switch (subject.kind) {
    case 'production':
      return 'production';
    case 'pull':
      return `pull/${subject.number}`;
    case 'branch':
      return `branch/${subject.branch}`;
  }
}

/** The subject that a written form names, or undefined when it is none. */
export function parseSubject(key: string): Subject | undefined {
  if (key === 'production') return { kind: 'production' };
  const pull = /^pull\/([1-9][0-9]{0,9})$/.exec(key);
  if (pull) return { kind: 'pull', number: Number(pull[1]) };
  const branch = /^branch\/(.{1,255})$/.exec(key);
  if (branch?.[1] !== undefined) return { kind: 'branch', branch: branch[1] };
  return undefined;
}
