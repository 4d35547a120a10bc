import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BoughError } from '@bough/domain/bough-error';
import { sandboxUser } from './sandbox.ts';

export interface Stage {
  readonly hosts: Readonly<Record<string, string>>;
  readonly command: string;
}

/** Writes the small files that a sandbox sees as its own: /etc/hosts, /etc/passwd, /etc/group and its command. */
export async function stageFiles(directory: string, stage: Stage): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const files = { hosts: hostsFile(stage.hosts), passwd, group, empty: '', command: stage.command };
  await Promise.all(
    Object.entries(files).map(([name, content]) =>
      writeFile(join(directory, name), content, { mode: 0o600 }),
    ),
  );
}

const { name, uid, gid, home } = sandboxUser;
const passwd = `root:x:0:0:root:/:/bin/sh\n${name}:x:${uid}:${gid}:${name}:${home}:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n`;
const group = `root:x:0:\n${name}:x:${gid}:\nnogroup:x:65534:\n`;

function hostsFile(hosts: Stage['hosts']): string {
  const lines = ['127.0.0.1 localhost', '::1 localhost', '127.0.0.1 app'];
  for (const [host, address] of Object.entries(hosts)) {
    if (!/^[A-Za-z0-9._-]{1,253}$/.test(host) || !/^[0-9A-Fa-f.:]{2,45}$/.test(address))
      throw invalidHost(host, address);
    lines.push(`${address} ${host}`);
  }
  return `${lines.join('\n')}\n`;
}

function invalidHost(host: string, address: string): BoughError {
  return new BoughError({
    code: 'host-invalid',
    message: `"${address} ${host}" cannot be written into a hosts file.`,
    hint: 'A host is letters, digits, dots and hyphens; its address is an IP address.',
  });
}
