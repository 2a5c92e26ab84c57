import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Nginx extends AsyncDisposable {
  readonly folder: string
  readonly socketPath: string
  /** Ends its workers in an orderly way and starts new ones. */
  reload(): void
}

/** Debian's nginx on a unix socket, with one worker and a folder of files. Needs no port and no root. */
export async function startNginx(files: Readonly<Record<string, Buffer>>, locations = ''): Promise<Nginx> {
  const folder = await mkdtemp(join(tmpdir(), 'curfew-nginx-'))
  const socketPath = join(folder, 'app.sock')
  await Promise.all(Object.entries(files).map(([name, content]) => writeFile(join(folder, name), content)))
  await writeFile(join(folder, 'nginx.conf'), configuration(folder, socketPath, locations))
  const nginx = spawn('/usr/sbin/nginx', [
    '-p',
    folder,
    '-c',
    join(folder, 'nginx.conf'),
    '-e',
    join(folder, 'error.log'),
  ])
  await untilItListens(nginx, socketPath)
  return {
    folder,
    socketPath,
    reload: () => void nginx.kill('SIGHUP'),
    [Symbol.asyncDispose]: async () => {
      nginx.kill('SIGTERM')
      if (nginx.exitCode === null) await once(nginx, 'exit')
      await rm(folder, { recursive: true })
    },
  }
}

async function untilItListens(nginx: ChildProcess, path: string): Promise<void> {
  for (;;) {
    if (nginx.exitCode !== null) throw new Error(`nginx ended with ${nginx.exitCode}`)
    const socket = connect(path)
    try {
      await once(socket, 'connect')
      return
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 10)) // not yet
    } finally {
      socket.destroy()
    }
  }
}

function configuration(folder: string, socketPath: string, locations: string): string {
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  // Started by root it would give up the right to read our folder.
  return `${process.getuid?.() === 0 ? 'user root;' : ''}
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
events { worker_connections 256; }
http {
  access_log off;
  ${paths.map((name) => `${name}_temp_path ${folder}/${name};`).join(' ')}
  default_type text/plain;
  keepalive_requests 1000;
  server {
    listen unix:${socketPath};
    root ${folder};
    ${locations}
  }
}
`
}
