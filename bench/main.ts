/** `npm run bench -- cutoff|pgbench|postgres|guard|ssh|http|http-parts|large [options]`: see docs/performance.md. */
import { Command } from 'commander'
import { benchCutoff } from './cutoff.ts'
import { benchGuard } from './guard.ts'
import { benchHttp, type HttpOptions } from './http.ts'
import { benchHttpParts, type HttpPartsOptions } from './http-parts.ts'
import { benchLarge, type LargeOptions } from './large.ts'
import { benchPostgres, type PostgresOptions } from './postgres.ts'
import { benchPgbench, type PgbenchOptions } from './pgbench.ts'
import { benchSsh, type SshOptions } from './ssh.ts'

const program = new Command('bench').description('Measures what docs/performance.md claims, with the real parts.')

const numbers = (text: string) => text.split(',').map(Number)

program
  .command('cutoff')
  .description('from the deadline and from the revoke call to the client having read the FATAL')
  .option('--sessions <list>', 'numbers of live sessions', numbers, [1, 1000, 5000])
  .option('--repeats <n>', 'how often each is measured', Number, 3)
  .option('--json', 'one object per case')
  .action(({ sessions, repeats, json }: { sessions: number[]; repeats: number; json?: true }) =>
    print(benchCutoff(sessions, repeats), json === true),
  )

program
  .command('pgbench')
  .description('direct, pgbouncer where installed, and the gateway with recording on, in interleaved pairs')
  .option('--clients <list>', 'numbers of clients', numbers, [1, 8, 32])
  .option('--seconds <n>', 'length of one run', Number, 5)
  .option('--pairs <n>', 'how often each runs', Number, 5)
  .option('--only <text>', 'cases whose script and mode hold this')
  .option('--json', 'one object per case')
  .action(({ json, ...options }: PgbenchOptions & { json?: true }) => print(benchPgbench(options), json === true))

program
  .command('postgres')
  .description('bulk data, added latency, opening a session, and the memory of an idle one')
  .option('--pairs <n>', 'how often each runs', Number, 5)
  .option('--megabytes <n>', 'size of what is selected or copied', Number, 200)
  .option('--round-trips <n>', 'queries for the latency of one', Number, 3000)
  .option('--opens <n>', 'sessions that are opened one after the other', Number, 30)
  .option('--idle <n>', 'idle sessions for the memory of one', Number, 500)
  .option('--only <text>', 'cases whose name holds this')
  .option('--json', 'one object per case')
  .action(({ json, ...options }: PostgresOptions & { json?: true }) => print(benchPostgres(options), json === true))

program
  .command('guard')
  .description(
    'the gateway with and without a statement guard, in interleaved pairs; and what reading a statement takes',
  )
  .option('--clients <list>', 'numbers of clients', numbers, [1, 8])
  .option('--seconds <n>', 'length of one run', Number, 5)
  .option('--pairs <n>', 'how often each runs', Number, 5)
  .option('--json', 'one object per case')
  .action(({ clients, seconds, pairs, json }: { clients: number[]; seconds: number; pairs: number; json?: true }) =>
    print(benchGuard({ clients, seconds, pairs }), json === true),
  )

program
  .command('ssh')
  .description(
    'ssh and sftp straight, over `ssh -J`, and the gateway with recording on, in interleaved pairs (needs root)',
  )
  .option('--megabytes <n>', 'size of what is transferred', Number, 1000)
  .option('--pairs <n>', 'how often each runs', Number, 5)
  .option('--execs <n>', 'connections that each run a command', Number, 500)
  .option('--at-once <n>', 'how many of these are open at a time', Number, 50)
  .option('--idle <n>', 'idle sessions for the memory of one', Number, 200)
  .option('--only <text>', 'cases whose name holds this')
  .option('--json', 'one object per case')
  .action(({ json, ...options }: SshOptions & { json?: true }) => print(benchSsh(options), json === true))

program
  .command('http')
  .description('straight, nginx, haproxy, and the gateway with recording and sign-in, in interleaved pairs')
  .option('--seconds <n>', 'length of one run', Number, 5)
  .option('--megabytes <n>', 'size of what is transferred', Number, 1000)
  .option('--pairs <n>', 'how often each runs', Number, 5)
  .option('--idle <n>', 'idle WebSockets for the memory of one', Number, 500)
  .option('--only <text>', 'cases whose name holds this')
  .option('--json', 'one object per case')
  .action(({ json, ...options }: HttpOptions & { json?: true }) => print(benchHttp(options), json === true))

program
  .command('http-parts')
  .description(
    'the same small proxy over our own client, undici, node:http and three proxy packages (which are fetched for it)',
  )
  .option('--requests <n>', 'GETs per run', Number, 40_000)
  .option('--pairs <n>', 'how often each runs', Number, 5)
  .option('--json', 'one object per case')
  .action(({ json, ...options }: HttpPartsOptions & { json?: true }) => print(benchHttpParts(options), json === true))

program
  .command('large')
  .description('what size costs: listing what may be asked for, and searching a long audit log')
  .option('--resources <n>', 'resources with two roles each', Number, 3000)
  .option('--policies <n>', 'policies, each for some of them', Number, 500)
  .option('--events <n>', 'in the audit log', Number, 300_000)
  .option('--repeats <n>', 'how often it is listed', Number, 9)
  .option('--json', 'one object per case')
  .action(({ json, ...options }: LargeOptions & { json?: true }) => print(benchLarge(options), json === true))

await program.parseAsync()

async function print(results: AsyncIterable<object>, json: boolean): Promise<void> {
  for await (const result of results) {
    const fields = Object.entries(result).map(([name, value]) => `${name}=${String(value)}`)
    process.stdout.write(`${json ? JSON.stringify(result) : fields.join('  ')}\n`)
  }
}
