/** What a statement guard costs: pgbench through the gateway with and without one, and reading statements alone. */
import { createStatementReader } from '../src/protocols/postgres/guard/reader.ts'
import { judgeBy } from '../src/protocols/postgres/guard/rules.ts'
import type { StatementGuard } from '../src/resources/guard.ts'
import { systemClock } from '../src/system.ts'
import {
  initialise,
  interleaved,
  modes,
  scripts,
  type Case,
  type PgbenchOptions,
  type Run,
  type Way,
} from './pgbench.ts'
import { median, rounded } from './statistics.ts'
import { startStack, type Stack } from './stack.ts'

export async function* benchGuard({ clients, seconds, pairs }: PgbenchOptions): AsyncGenerator<object> {
  yield* benchReading()
  await using stack = await startStack(200)
  const ways = await openWays(stack)
  await initialise({ name: 'direct', port: stack.target.port, ...stack.login, processId: null })
  for (const script of Object.keys(scripts) as Case['script'][]) {
    for (const mode of modes) {
      for (const count of clients) {
        const runs = await interleaved(ways, { script, mode, clients: count, seconds, pairs })
        yield summary([...runs.values()], { script, mode, clients: count })
      }
    }
  }
}

async function openWays({ gateway }: Stack): Promise<readonly Way[]> {
  for (const role of ['bench', 'guarded']) {
    await gateway.ask({ kind: 'grant', resource: 'bench-db', role, lengthMs: 8 * 3_600_000 }, 'grant')
  }
  const { text: password } = await gateway.ask({ kind: 'token' }, 'token')
  const through = { port: gateway.postgresPort, database: 'bench-db', password, processId: gateway.processId }
  return [
    { name: 'gateway', user: 'bench.token', ...through },
    { name: 'gateway-guarded', user: 'guarded.token', ...through },
  ]
}

function summary([plain = [], guarded = []]: readonly (readonly Run[])[], of: Case): object {
  const ratio = (pick: (run: Run) => number) =>
    rounded(median(guarded.map((run, index) => pick(run) / pick(plain[index]!))))
  const of1 = (runs: readonly Run[], pick: (run: Run) => number, digits: number) =>
    rounded(median(runs.map(pick)), digits)
  const cpuUs = ({ cpuMsPerTransaction }: Run) => (cpuMsPerTransaction ?? 0) * 1000
  return {
    bench: 'guard',
    ...of,
    tps: of1(plain, ({ tps }) => tps, 0),
    guardedTps: of1(guarded, ({ tps }) => tps, 0),
    guardedOfPlain: ratio(({ tps }) => tps),
    cpuUs: of1(plain, cpuUs, 0),
    guardedCpuUs: of1(guarded, cpuUs, 0),
    cpuOfPlain: ratio(cpuUs),
  }
}

const statements: Readonly<Record<string, string>> = {
  'select by key': 'SELECT abalance FROM pgbench_accounts WHERE aid = 4242;',
  'update by key': 'UPDATE pgbench_accounts SET abalance = abalance + -123 WHERE aid = 4242;',
  report: `with recent as (select * from orders o join customers c on c.id = o.customer where o.at > now() - interval '1 day')
    select c.country, count(*), sum(o.total), percentile_cont(0.5) within group (order by o.total)
    from recent o join countries c using (country) where c.code in ('DE', 'FR', 'IT') group by 1 having count(*) > 10 order by 3 desc limit 50`,
  'insert of 4 KiB': `insert into t values ${Array.from({ length: 250 }, (_, index) => `(${index},'abcdef')`).join()}`,
}
const guard: StatementGuard = {
  rules: [
    {
      ...{ name: 'full-tables', kinds: ['update', 'delete'], tables: null, functions: null },
      ...{ whereMissing: true, several: false, action: 'refuse', message: null },
    },
  ],
  ...{ otherwise: 'allow', askForMs: 0, askers: null },
}

/** Processor time of this process, because the machine has other things to do. */
async function* benchReading(): AsyncGenerator<object> {
  await using reader = createStatementReader(systemClock)
  await reader.ready()
  const judge = judgeBy(guard)
  const rounds = 5000
  const news = Object.entries(statements).map(([statement, text]) => [statement, text, true] as const)
  const [first] = news
  const cases = [...news, [`${first![0]}, with other numbers`, first![1], false] as const]
  for (const [statement, text, isNew] of cases) {
    let count = 0
    // Never the same text twice: those would be read once.
    const once = async () => judge(await reader.read(isNew ? `${text} -- ${++count}` : text))
    for (let round = 0; round < rounds; round++) await once()
    const begun = process.cpuUsage()
    for (let round = 0; round < rounds; round++) await once()
    const { user, system } = process.cpuUsage(begun)
    yield { bench: 'guard-reading', statement, characters: text.length, cpuUs: rounded((user + system) / rounds, 1) }
  }
}
