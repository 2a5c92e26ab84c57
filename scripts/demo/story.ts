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
  /** The SSH target; null on a machine without sshd. */
  readonly ssh: SshFacts | null
  /** The web application; `target` is where it is without the gateway, and there it refuses everybody. */
  readonly board: {
    readonly url: string
    /** Where to come as a certain role. */
    readonly as: Readonly<Record<'view' | 'operate', string>>
    readonly resource: { readonly name: string; readonly roles: readonly string[] }
    readonly target: { readonly host: string; readonly port: number }
  }
  readonly caFile: string
  readonly dataFolder: string
  readonly configFile: string
  readonly logFile: string
  readonly recordingsFolder: string
  readonly commands: Readonly<Record<'psql' | 'curfew' | 'login' | 'replay' | 'verify' | 'auditVerify', string>>
}

export interface SshFacts {
  readonly host: string
  readonly port: number
  /** OpenSSH's form, with the key of the gateway. */
  readonly knownHostsFile: string
  readonly resource: { readonly name: string; readonly roles: readonly string[] }
  /** The sshd behind the gateway: `login` is whoever runs the demo, `home` where its shells begin. */
  readonly target: { readonly host: string; readonly port: number; readonly login: string; readonly home: string }
  /** `menu` shows what one may reach. */
  readonly commands: Readonly<Record<'shell' | 'menu' | 'sftp', string>>
}

const resource = { name: 'prod-db', roles: ['reporting', 'readonly', 'admin'] } as const
const board = { name: 'board', roles: ['view', 'operate'] } as const
const webServer = { name: 'web-1', roles: ['shell', 'files'] } as const

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
    ssh: sshFacts(demo),
    board: {
      url: demo.board.url.href,
      as: { view: asRole(demo.board.url, 'view'), operate: asRole(demo.board.url, 'operate') },
      resource: board,
      target: { host: demo.board.target.host, port: demo.board.target.port },
    },
    caFile: folder.caFile,
    dataFolder: folder.path,
    configFile: inFolder(files.configuration),
    logFile: inFolder(files.gatewayLog),
    recordingsFolder: inFolder('gateway/recordings'),
    commands: commandsOf(demo, checkout),
  }
}

function sshFacts({ ssh, ports }: Demo): SshFacts | null {
  if (ssh === undefined) return null
  const { knownHostsFile } = ssh
  const { host, port, login, home } = ssh.target
  return {
    ...{ host: 'localhost', port: ports.ssh, knownHostsFile, resource: webServer },
    target: { host, port, login, home },
    commands: sshCommands(ports.ssh, knownHostsFile),
  }
}

/** @param knownHostsFile as it shall be written: absolute, or relative to where people are. */
function sshCommands(port: number, knownHostsFile: string): SshFacts['commands'] {
  // ssh takes several files there, with spaces between them.
  const file = /\s/.test(knownHostsFile) ? `"${knownHostsFile}"` : knownHostsFile
  const known = `-o ${quoted(`UserKnownHostsFile=${file}`)}`
  const { name } = webServer
  return {
    shell: `ssh -p ${port} ${known} shell@${name}@localhost`,
    menu: `ssh -p ${port} ${known} localhost`,
    sftp: `sftp -P ${port} ${known} files@${name}@localhost`,
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
  return /^[\w./:@+=-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`
}

/** What to type and what to open, story by story. */
export function storyText(demo: Demo, checkout: string): string {
  const stories = [
    askStory(demo),
    cutStory,
    accessStory(demo, checkout),
    ...sshStories(demo),
    boardStory(demo),
    replayStory(demo, checkout),
    endStory(demo),
  ]
  const told = [...stories, programStory(demo)].map((story, index) => `${index + 1}. ${story}`)
  return `${openingText(demo)}
${told.join('\n')}
${closingText(demo)}`
}

function openingText({ webUrl, folder, ssh }: Demo): string {
  const missing = [
    ...(hasPsql() ? [] : ['(There is no psql on this machine. On Debian: apt-get install postgresql-client)\n']),
    ...(ssh ? [] : [`(${noSshdText})\n`]),
    ...(ssh?.target.hasTerminals === false ? [`(${noTerminalsText})\n`] : []),
  ]
  return `
Curfew is ready: ${webUrl.origin}
${missing.map((line) => `\n${line}`).join('')}
People    A click signs in. Use one private window per person, so that they do not share cookies.
          alice  engineer: asks          sam   security reviewer: replays recordings, reads the audit log
          bob    approver: decides       olga  operator: sees and ends live sessions
Browser   It warns once, because the certificate is the demo's own. Choose "Advanced" and go on,
          or import ${near(folder.caFile)} as an authority; the authority's own key was thrown away.
`
}

const noSshdText =
  'There is no sshd on this machine, so the SSH target, web-1, is left out. On Debian: apt-get install openssh-server'

const noTerminalsText =
  '/dev/pts is not mounted for the group tty, so an sshd that an ordinary user runs gives no terminals: shells on web-1\n' +
  'end at once, commands and sftp work. As root the demo has both.'

function askStory(demo: Demo): string {
  return `Ask and be approved
   Type:  ${psqlFor(demo, 'readonly')}
   psql shows a link. Open it, sign in as alice, compare the code, confirm.
   alice has no grant yet, so psql shows a second link and waits: ask there, with a reason. 2 minutes are offered.
   In another window sign in as bob, open ${demo.webUrl.origin}/approvals and approve. psql goes on by itself. Try:
     select number, status, due_on from invoices where status = 'overdue' order by due_on limit 5;
`
}

const cutStory = `The cut
   In the same psql, before the two minutes are over:
     select pg_sleep(600);
   psql is warned 1 minute and 15 seconds before the end. At the end the statement is cancelled, psql says why,
   and nothing is left running behind the gateway. psql then connects again by itself and waits for a new approval.
`

function accessStory(demo: Demo, checkout: string): string {
  const { curfew, login } = commandsOf(demo, checkout)
  const url = demo.webUrl.origin
  return `More than one approval
   On a terminal of alice (log in once; the browser opens, or shows a code to compare):
     alias curfew=${quoted(curfew)}
     ${login.replace(curfew, 'curfew')}
   More time: while psql of the first story is connected, and bob approves on ${url}/approvals
     curfew extend prod-db --for 2m --reason "not done yet"
   psql lives on, past its old end.
   Two steps: bob decides first, then olga (or olga instead of bob, when he says nothing for a minute).
     curfew request prod-db admin --ticket SHOP-7 --reason "mend invoices"
   bob may change it before he approves: shorter, later, or as reporting. The page shows what makes it risky, and why.
   An emergency: at once, told to security, and looked at afterwards by sam on ${url}/reviews
     curfew request prod-db admin --emergency --reason "the shop is down"
   Several things at once, each decided by itself:
     curfew request --bundle first-day --reason "first day"
   As sam: ${url}/reports has who can reach what without a human, and "Evidence" on the page
   of a request has its whole story in one file, which needs no gateway to be checked:
     curfew evidence REQUEST -o story.tar
     curfew verify story.tar --key ${quoted(near(join(demo.folder.path, 'gateway/keys/public.jwks')))}
`
}

function sshStories({ ssh, ports, webUrl }: Demo): string[] {
  if (ssh === undefined) return []
  const { login, home } = ssh.target
  const { shell, menu, sftp } = sshCommands(ports.ssh, near(ssh.knownHostsFile))
  return [
    `The same with ssh
   web-1 is a real sshd on this machine, and its shells are your own (${login}), begun in ${near(home)}, where some
   examples lie: what you do there is real. Type:
     ${shell}
   Open the link as alice and confirm; ssh then asks why and for how long, and bob approves:
     ${webUrl.origin}/approvals
   Run something that goes on, for instance: top. ssh is warned as psql was, and the shell ends when the time is over.
   Your key is now known for an hour: type it again, and no sign-in is needed. Two more to try:
     ${menu}
       shows what you may reach, and connects you
     ${sftp}
       puts and fetches files; needs nobody's approval, so press Enter at both questions
   The option keeps the demo's key out of your ~/.ssh/known_hosts.
`,
  ]
}

/** At the application's own host, so that the way leads back there by itself. */
function asRole(board: URL, role: string): string {
  return new URL(`/.curfew/enter?role=${role}`, board).href
}

function boardStory({ board: { url, target }, webUrl }: Demo): string {
  return `A web application
   Open ${url.href} as alice. (Chrome, Edge and Firefox know the name; for others add to /etc/hosts:
   127.0.0.1 board.localhost. The browser warns once more, as this is another name.)
   Choose view, which needs nobody's approval. The board shows live updates, who you are (Who am I), what the gateway
   tells it (Headers) and a WebSocket (Echo). It is at http://${target.host}:${target.port}/, too, and believes nobody who comes
   there straight. "I look after it" is refused: view changes nothing. Come as operate, and give a reason:
     ${asRole(url, 'operate')}
   When bob has approved (${webUrl.origin}/approvals), the page goes on to the board by itself. After two minutes the
   live updates and the WebSocket end, and the next page says why and offers to ask again.
`
}

function replayStory(demo: Demo, checkout: string): string {
  const { curfew, login, auditVerify } = commandsOf(demo, checkout)
  const short = (command: string) => command.replace(curfew, 'curfew')
  const newest = `$(ls -t ${quoted(join(demo.folder.path, 'gateway/recordings'))}/*/*/*/*.curfew | head -1)`
  const terminals = demo.ssh
    ? '\n   A terminal plays as it was; files that were put and fetched are listed with their hashes.'
    : ''
  return `Replay and verify
   As sam open ${demo.webUrl.origin}/recordings and choose a session: every statement, with its time and its number of rows.${terminals}
   Of the board: every request, with its status, sizes and times.
   The same without the gateway:
     alias curfew=${quoted(curfew)}
     F=${newest}
     curfew replay "$F"
     curfew verify "$F"
   And the audit log, signed in as sam:
     ${short(login)}
     ${short(auditVerify)}
`
}

function endStory({ webUrl, ssh }: Demo): string {
  const programs = ssh ? 'psql or ssh' : 'psql'
  return `End a session
   Connect again as above and be approved. As olga open ${webUrl.origin}/sessions
   and end the session with a comment: ${programs} is told why.
`
}

function programStory(demo: Demo): string {
  const url = demo.webUrl.origin
  const ssh = demo.ssh ? '     curfew ssh web-1 shell\n' : ''
  return `Programs
   As alice open ${url}/ask and ask for reporting: it needs nobody's approval. Then make a token
   on ${url}/sign-ins; it is the password of the user reporting.token:
     ${psqlFor(demo, 'reporting.token')} -c 'select * from monthly_revenue'
   The same from the terminal: log in as above, now as alice, and then
     curfew token create --label reports --for 1h
${ssh}`
}

function closingText({ folder }: Demo): string {
  return `Data, log and configuration are in ${near(folder.path)}; "npm run demo -- --reset" starts over.
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
