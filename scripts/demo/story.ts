import { existsSync } from 'node:fs'
import { delimiter, join, relative } from 'node:path'
import { files } from './configuration.ts'
import { people } from './people.ts'
import type { Demo } from './start.ts'

/** What `--json` prints: everything that a script needs to drive the demo. Paths are absolute. */
export interface DemoFacts {
  readonly web: { readonly url: string; readonly host: string; readonly port: number }
  readonly postgres: { readonly host: string; readonly port: number; readonly sslmode: 'verify-full' }
  readonly ops: { readonly url: string }
  readonly provider: { readonly issuer: string }
  /** The PostgreSQL behind the gateway, for comparing. `passwordFolder` holds one file per login. */
  readonly target: {
    readonly host: string
    readonly port: number
    readonly database: string
    readonly passwordFolder: string
  }
  readonly people: readonly {
    readonly kind: string
    readonly login: string
    readonly name: string
    readonly email: string
    readonly groups: readonly string[]
    /** None: on the provider's page, a click on the name signs in. */
    readonly password: null
    readonly signIn: string
  }[]
  readonly resource: { readonly name: string; readonly roles: readonly string[] }
  readonly caFile: string
  readonly dataFolder: string
  readonly configFile: string
  readonly logFile: string
  readonly recordingsFolder: string
  readonly commands: Readonly<Record<'psql' | 'curfew' | 'login' | 'replay' | 'verify' | 'auditVerify', string>>
}

const resource = { name: 'prod-db', roles: ['reporting', 'readonly', 'admin'] } as const

export function demoFacts(demo: Demo, checkout: string): DemoFacts {
  const { folder, ports, target, provider } = demo
  const inFolder = (name: string) => join(folder.path, name)
  return {
    web: { url: demo.webUrl.origin, host: 'localhost', port: ports.web },
    postgres: { host: 'localhost', port: ports.postgres, sslmode: 'verify-full' },
    ops: { url: `http://127.0.0.1:${ports.ops}` },
    provider: { issuer: provider.issuer.origin },
    target: { host: target.host, port: target.port, database: 'shop', passwordFolder: inFolder('secrets') },
    people: people.map(({ subject, ...person }) => ({
      ...person,
      login: subject,
      password: null,
      signIn: `On the provider's page press "${person.name}", or type "${subject}" and press "Sign in".`,
    })),
    resource,
    caFile: folder.caFile,
    dataFolder: folder.path,
    configFile: inFolder(files.configuration),
    logFile: inFolder(files.gatewayLog),
    recordingsFolder: inFolder('gateway/recordings'),
    commands: commandsOf(demo, checkout),
  }
}

function commandsOf(demo: Demo, checkout: string): DemoFacts['commands'] {
  const curfew = `${quoted(process.execPath)} ${quoted(join(checkout, 'src', 'main.ts'))}`
  return {
    psql: psqlFor(demo, 'readonly'),
    curfew,
    login: `${curfew} login --gateway ${demo.webUrl.origin} --ca ${quoted(demo.folder.caFile)}`,
    replay: `${curfew} replay FILE`,
    verify: `${curfew} verify FILE`,
    // Of the gateway that one is logged in to; for reviewers.
    auditVerify: `${curfew} audit verify`,
  }
}

function psqlFor(demo: Demo, user: string): string {
  const ca = /^[\w./:@+-]+$/.test(demo.folder.caFile) ? demo.folder.caFile : `'${demo.folder.caFile}'`
  const words = `host=localhost port=${demo.ports.postgres} user=${user} dbname=${resource.name} sslmode=verify-full sslrootcert=${ca}`
  return `psql "${words}"`
}

/** For a shell. */
function quoted(word: string): string {
  return /^[\w./:@+-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`
}

/** What to type and what to open, story by story. */
export function storyText(demo: Demo, checkout: string): string {
  const { folder, webUrl } = demo
  const url = webUrl.origin
  const { curfew, login, auditVerify } = commandsOf(demo, checkout)
  const short = (command: string) => command.replace(curfew, 'curfew')
  const newest = `$(ls -t ${quoted(join(folder.path, 'gateway/recordings'))}/*/*/*/*.curfew | head -1)`
  return `
Curfew is ready: ${url}
${hasPsql() ? '' : '\n(There is no psql on this machine. On Debian: apt-get install postgresql-client)\n'}
People    A click signs in. Use one private window per person, so that they do not share cookies.
          alice  engineer: asks          sam   security reviewer: replays recordings, reads the audit log
          bob    approver: decides       olga  operator: sees and ends live sessions
Browser   It warns once, because the certificate is the demo's own. Choose "Advanced" and go on,
          or import ${near(folder.caFile)} as an authority; the authority's own key was thrown away.

1. Ask and be approved
   Type:  ${psqlFor(demo, 'readonly')}
   psql shows a link. Open it, sign in as alice, compare the code, confirm.
   alice has no grant yet, so psql shows a second link and waits: ask there, with a reason. 2 minutes are offered.
   In another window sign in as bob, open ${url}/approvals and approve. psql goes on by itself. Try:
     select number, status, due_on from invoices where status = 'overdue' order by due_on limit 5;

2. The cut
   In the same psql, before the two minutes are over:
     select pg_sleep(600);
   psql is warned 1 minute and 15 seconds before the end. At the end the statement is cancelled, psql says why,
   and nothing is left running behind the gateway. psql then connects again by itself and waits for a new approval.

3. Replay and verify
   As sam open ${url}/recordings and choose the session: every statement, with its time and its number of rows.
   The same without the gateway:
     alias curfew=${quoted(curfew)}
     F=${newest}
     curfew replay "$F"
     curfew verify "$F"
   And the audit log, signed in as sam:
     ${short(login)}
     ${short(auditVerify)}

4. End a session
   Connect again as in story 1 and be approved. As olga open ${url}/sessions
   and end the session with a comment: psql is told why.

5. Programs
   As alice open ${url}/ask and ask for reporting: it needs nobody's approval. Then make a token
   on ${url}/sign-ins; it is the password of the user reporting.token:
     ${psqlFor(demo, 'reporting.token')} -c 'select * from monthly_revenue'
   The same from the terminal: log in as above, now as alice, and then
     curfew token create --label reports --for 1h

Data, log and configuration are in ${near(folder.path)}; "npm run demo -- --reset" starts over.
Ctrl-C stops everything.
`
}

/** Relative when that is shorter to read. */
function near(path: string): string {
  const relativePath = relative(process.cwd(), path)
  return relativePath.startsWith('..') || relativePath === '' ? path : relativePath
}

function hasPsql(): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => existsSync(join(folder, 'psql')))
}
