import { BoughError } from '@bough/domain/bough-error';
import { describe, expect, it } from 'vitest';
import { mountPoint, type SandboxSpec, sandboxArguments } from './sandbox.ts';

const spec: SandboxSpec = {
  base: {
    links: [{ at: '/bin', target: 'usr/bin' }],
    directories: ['/lib32'],
    configuration: ['/etc/resolv.conf'],
    hiddenFiles: ['/usr/etc/npmrc'],
    kernelReadOnly: ['/proc/sys'],
    kernelHidden: ['/proc/kcore'],
  },
  stage: '/stage',
  env: { PORT: '20001', TOKEN: 'a b=c' },
  shown: ['/opt/node'],
  files: [{ source: '/srv/npmrc', at: '/run/bough/npmrc' }],
  app: { source: '/artifacts/k/app', writable: false },
  mounts: [
    { source: '/volumes/2', at: '/app/var/uploads/' },
    { source: '/volumes/1', at: '/data', readOnly: true },
  ],
  home: { directory: '/srv/home' },
  temporary: { memoryBytes: 1000 },
  sharedMemoryBytes: 2000,
};

describe('sandboxArguments', () => {
  it('is this, to the last flag', () => {
    expect(sandboxArguments(spec)).toEqual(
      [
        ...['--die-with-parent', '--new-session', '--unshare-user', '--uid 1000', '--gid 1000'],
        ...['--unshare-pid', '--unshare-ipc', '--unshare-uts', '--unshare-cgroup-try'],
        ...['--hostname app', '--cap-drop ALL'],
        ...['--clearenv', '--setenv PORT 20001', '--setenv TOKEN a_b=c'],
        ...['--ro-bind /usr /usr', '--symlink usr/bin /bin', '--ro-bind /lib32 /lib32'],
        '--ro-bind /etc/resolv.conf /etc/resolv.conf',
        ...['--ro-bind /stage/hosts /etc/hosts', '--ro-bind /stage/passwd /etc/passwd'],
        '--ro-bind /stage/group /etc/group',
        ...[
          '--proc /proc',
          '--dev /dev',
          '--ro-bind /proc/sys /proc/sys',
          '--ro-bind /stage/empty /proc/kcore',
          '--size 2000 --tmpfs /dev/shm',
          '--size 16777216 --tmpfs /run',
        ],
        ...['--ro-bind /stage/command /run/bough/command', '--symlink /tmp /var/tmp'],
        ...['--size 1000 --tmpfs /tmp', '--bind /srv/home /home/app'],
        ...['--ro-bind /opt/node /opt/node', '--ro-bind /srv/npmrc /run/bough/npmrc'],
        '--ro-bind /stage/empty /usr/etc/npmrc',
        '--ro-bind /artifacts/k/app /app',
        ...['--ro-bind /volumes/1 /data', '--bind /volumes/2 /app/var/uploads'],
        ...['--remount-ro /', '--chdir /app'],
      ].flatMap((flag) => flag.split(' ').map((word) => word.replace('a_b', 'a b'))),
    );
  });

  it('lets a build write its application', () => {
    const args = sandboxArguments({ ...spec, app: { source: '/srv/app', writable: true } }).join(' ');
    expect(args).toContain('--bind /srv/app /app');
    expect(args).not.toContain('--ro-bind /srv/app');
  });

  it('has an empty /app and starts at the root without an application', () => {
    const args = sandboxArguments({ ...spec, app: undefined }).join(' ');
    expect(args).toContain('--dir /app');
    expect(args).toMatch(/--chdir \/$/);
  });

  it.each(['A=B', '1A', '', 'A-B', 'A B'])('refuses a variable named %j', (name) => {
    expect(() => sandboxArguments({ ...spec, env: { [name]: 'x' } })).toThrow(BoughError);
  });

  it('refuses a NUL byte, which would begin another argument', () => {
    expect(() => sandboxArguments({ ...spec, env: { A: 'x\0--bind\0/\0/' } })).toThrow(BoughError);
  });
});

describe('mountPoint', () => {
  it.each(['/app/uploads', '/data', '/var/lib/postgresql', '/mnt/'])('takes %s', (at) => {
    expect(mountPoint(at)).toBe(at.replace(/\/$/, ''));
  });

  it.each([
    '/',
    '/app',
    '/app/',
    'data',
    '',
    '/etc',
    '/usr/lib',
    '/app/../etc',
    '/proc/x',
    '/run/bough',
    '/dev',
  ])('refuses %j', (at) => {
    expect(() => mountPoint(at)).toThrow(BoughError);
  });
});
