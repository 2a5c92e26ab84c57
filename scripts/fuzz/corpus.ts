import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { once } from 'node:events'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'

/** What real clients and the real server said to each other, each as whole messages, from ReadyForQuery on. */
export interface Talk {
  readonly client: readonly Buffer[]
  readonly server: readonly Buffer[]
}

export interface Place {
  /** A listener without TLS. */
  readonly port: number
  readonly user: string
  readonly database: string
  readonly password: string
}

/** Runs psql, pgbench and a driver through a socket that listens in. */
export async function recordClients(place: Place): Promise<readonly Talk[]> {
  await using tap = await listenIn(place.port)
  const through = { ...place, port: tap.port }
  await runPsql(through)
  await runPgbench(through)
  await runDriver(through)
  return tap.talks().filter(({ client, server }) => client.length > 0 && server.length > 0)
}

const psqlScript = String.raw`
\set ON_ERROR_STOP 0
select 1 as one, 'two' as password;
select g, repeat('x', 300) from generate_series(1, 50) g;
begin; create temp table t (a int, b text); insert into t values (1, 'x'), (2, null); savepoint s; selec; rollback to s;
copy t from stdin;
3	three
4	four
\.
copy t to stdout;
declare c cursor for select * from t; fetch 2 from c; fetch all from c; close c; commit;
prepare p (int) as select $1 + 1; execute p(41); deallocate p;
select 1/0; do $$ begin raise notice 'hello'; end $$;
select pg_sleep(0.01) \; select 2; listen l; notify l, 'x'; set timezone = 'UTC'; show timezone; explain select 1;
\gdesc
select lo_create(0) = 0;
`

async function runPsql({ port, user, database, password }: Place): Promise<void> {
  const conninfo = `host=127.0.0.1 port=${port} user=${user} dbname=${database} sslmode=disable`
  const child = execFile('psql', ['-X', '-q', conninfo], { env: { PATH: process.env['PATH'], PGPASSWORD: password } })
  child.stdin!.end(psqlScript)
  child.stdout!.resume()
  child.stderr!.resume()
  await once(child, 'close')
}

const pgbenchScript = `\\set n random(1, 100)
select * from generate_series(1, :n % 5) g;
\\startpipeline
select :n; select 'x' || :n; select :n + 1;
\\endpipeline
`

async function runPgbench({ port, user, database, password }: Place): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'curfew-fuzz-'))
  try {
    const script = join(folder, 'script.sql')
    await writeFile(script, pgbenchScript)
    const env = { PATH: process.env['PATH'], PGPASSWORD: password, PGSSLMODE: 'disable' }
    for (const mode of ['extended', 'prepared']) {
      const words = ['-n', '-M', mode, '-t', '3', '-f', script, '--random-seed=1', '-h', '127.0.0.1']
      await promisify(execFile)('pgbench', [...words, '-p', String(port), '-U', user, database], { env })
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function runDriver({ port, user, database, password }: Place): Promise<void> {
  const client = new pg.Client({ host: '127.0.0.1', port, user, database, password })
  await client.connect()
  await client.query({
    name: 'named',
    text: 'select $1::int as n, $2::text as t, $3::bytea as b',
    values: [7, 'x', Buffer.from('y')],
  })
  await client.query({
    name: 'named',
    text: 'select $1::int as n, $2::text as t, $3::bytea as b',
    values: [8, null, null],
  })
  await client.query('select $1::json, $2::timestamptz', [{ a: 1 }, new Date(0)])
  await client.query('select $1::nosuchtype', [1]).catch(() => undefined) // its error is what is wanted
  await client.query({ text: 'select n from generate_series(1, 20) n', rowMode: 'array' })
  await client.end()
}

interface Listening extends AsyncDisposable {
  readonly port: number
  talks(): Talk[]
}

async function listenIn(port: number): Promise<Listening> {
  const heard: { readonly client: Buffer[]; readonly server: Buffer[] }[] = []
  const server = createServer((socket) => {
    const both = { client: [] as Buffer[], server: [] as Buffer[] }
    heard.push(both)
    const onward = connect(port, '127.0.0.1')
    carry(socket, onward, both.client)
    carry(onward, socket, both.server)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    talks: () => heard.map(({ client, server: answers }) => talkOf(Buffer.concat(client), Buffer.concat(answers))),
    [Symbol.asyncDispose]: async () => void server.close(),
  }
}

function carry(from: Socket, to: Socket, heard: Buffer[]): void {
  from.on('data', (chunk: Buffer) => void heard.push(chunk)).on('error', () => to.destroy())
  from.pipe(to)
}

const [password, authentication, ready] = ['p', 'R', 'Z'].map((letter) => letter.charCodeAt(0))

/** Without startup and login, which have secrets in them. */
function talkOf(fromClient: Buffer, fromServer: Buffer): Talk {
  const behindStartup = fromClient.length < 4 ? fromClient : fromClient.subarray(fromClient.readInt32BE(0))
  const client = messagesIn(behindStartup).filter(([type]) => type !== password)
  const server = messagesIn(fromServer).filter(([type]) => type !== authentication)
  return { client, server: server.slice(server.findIndex(([type]) => type === ready) + 1) }
}

function messagesIn(bytes: Buffer): Buffer[] {
  const messages: Buffer[] = []
  for (let at = 0; at + 5 <= bytes.length;) {
    const end = at + 1 + bytes.readInt32BE(at + 1)
    if (end > bytes.length || end <= at) break
    messages.push(bytes.subarray(at, end))
    at = end
  }
  return messages
}
