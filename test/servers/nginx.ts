import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { issue, makeAuthority } from '../../scripts/certificates.ts'
import { startServerProgram, type ServerProgram } from './server-program.ts'

export interface NginxOptions {
  /** Names and texts of what it serves, such as `{ 'index.html': '…' }`. */
  readonly files?: Readonly<Record<string, string | Buffer>>
  /** HTTP/1.1 and HTTP/2 under a certificate for `localhost`; its authority is at `ca.pem` in the folder. */
  readonly tls?: boolean
  /** Further lines for its `server { … }`. */
  readonly server?: readonly string[]
}

/** A real nginx that serves files from its folder. */
export async function startNginx(options: NginxOptions = {}): Promise<ServerProgram> {
  return startServerProgram({
    name: 'nginx',
    command: '/usr/sbin/nginx',
    tls: options.tls === true,
    args: async ({ port, folder }) => {
      const root = join(folder, 'www')
      await mkdir(root, { recursive: true })
      for (const [name, text] of Object.entries(options.files ?? { 'index.html': '<h1>nginx</h1>\n' })) {
        await writeFile(join(root, name), text)
      }
      if (options.tls === true) await writeCertificate(folder)
      await writeFile(join(folder, 'nginx.conf'), configText(port, folder, options))
      return ['-p', folder, '-e', 'stderr', '-c', join(folder, 'nginx.conf')]
    },
  })
}

async function writeCertificate(folder: string): Promise<void> {
  const authority = await makeAuthority('Curfew test nginx')
  const { certificate, key } = await issue(authority, { names: ['localhost', '127.0.0.1'] })
  await writeFile(join(folder, 'ca.pem'), authority.certificate)
  await writeFile(join(folder, 'server.pem'), certificate)
  await writeFile(join(folder, 'server.key'), key, { mode: 0o600 })
}

function configText(port: number, folder: string, { tls = false, server = [] }: NginxOptions): string {
  const certificate = tls ? 'ssl_certificate server.pem; ssl_certificate_key server.key;' : ''
  const places = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  return `daemon off;
master_process off;
pid nginx.pid;
error_log stderr info;
events { worker_connections 1024; }
http {
  types { text/html html; text/css css; application/javascript js; text/plain txt; }
  default_type application/octet-stream;
  access_log off;
  ${places.map((place) => `${place}_temp_path ${join(folder, `${place}_temp`)};`).join('\n  ')}
  server {
    listen 127.0.0.1:${port}${tls ? ' ssl http2' : ''};
    ${certificate}
    root www;
    ${server.join('\n    ')}
  }
}
`
}
