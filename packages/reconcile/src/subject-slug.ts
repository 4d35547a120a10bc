import { shortHash, slugify } from '@bough/domain/names';
import type { Subject } from '@bough/domain/subject';

/** The environment's part of a host name; made once, when the row is. */
export function subjectSlug(subject: Subject): string {
  switch (subject.kind) {
    case 'production':
      return 'production';
    case 'pull':
      return `pr-${subject.number}`;
    case 'branch': {
      // Branch names differ where their slugs do not (`a/b`, `a-b`); `pr-7` is taken by pull requests, `production` by production.
      const slug = slugify(subject.branch);
      return slug === subject.branch && !/^(?:pr-\d+|production)$/.test(slug)
        ? slug
        : `${slug}-${shortHash(subject.branch)}`;
    }
  }
}
