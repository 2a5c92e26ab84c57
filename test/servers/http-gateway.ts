/**
 * The whole product with real web applications behind it: `app` (the tests' own target, which does what its path says)
 * and, where wanted, `bin` (httpbin), with a role for each thing that a test may want.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import type { Grant } from '../../src/access/states.ts'
import { openBrowser, signInAtProvider, type TestBrowser } from '../clients/browser.ts'
import { curl, startCurl, type CurlAnswer, type CurlPlace } from '../clients/curl.ts'
import type { Program, ProgramOptions } from '../clients/program.ts'
import { Visitor } from '../clients/visitor.ts'
import { openWebSocket, type TestWebSocket, type WebSocketWish } from '../clients/web-socket.ts'
import { startTestGateway, type ConfigInput, type Login, type TestGateway, type TestGatewayOptions } from './gateway.ts'
import { startHttpTarget, type HttpTarget, type HttpTargetOptions } from './http-target.ts'
import { startHttpbin } from './httpbin.ts'
import type { ServerProgram } from './server-program.ts'

type HttpInput = Extract<ConfigInput['resources'][string], { kind: 'http' }>

/** What the target is shown in place of the person by `injected`. */
export const injected = { user: 'service', password: 'never-seen-by-people' } as const

/** Roles of each application. `asked` needs one approver, the others nobody. */
const roles = {
  open: {},
  asked: {},
  /** GET and HEAD below /read, and nothing below /read/secret. */
  readonly: {
    allow: [{ methods: ['GET', 'HEAD'], paths: ['/read/**'] }],
    deny: [{ paths: ['/read/secret/**'] }],
  },
  injected: { credentials: { basic: { user: injected.user, password: 'file:secrets/injected' } } },
  mapped: {
    headers: { 'X-User': 'email', 'X-Name': 'name', 'X-Id': 'id', 'X-Groups': 'groups', 'X-Role': 'role' },
  },
  /** Bodies of JSON and text are recorded. */
  bodies: { recordBodies: { types: ['application/json', 'text/*', 'application/x-www-form-urlencoded'] } },
  unrecorded: { recording: 'off' },
} as const satisfies Record<string, object>
export type HttpTestRole = keyof typeof roles

export interface HttpTestGatewayOptions extends TestGatewayOptions {
  /** The target of `app`: options for one that lives as long as the gateway, or one that is there. */
  readonly target?: HttpTargetOptions | HttpTarget
  /** Behind `app` as further addresses. */
  readonly moreTargets?: readonly HttpTarget[]
  /** Joins what the configuration says of `app`, such as `{ version: 'http2', cors: { origins: […] } }`. */
  readonly app?: Partial<HttpInput>
  /** Starts httpbin behind `bin`. */
  readonly httpbin?: boolean
  /** Further applications behind plain addresses, by name: each gets the same roles. */
  readonly others?: Readonly<Record<string, { readonly address: string } & Partial<HttpInput>>>
  /** Applications are below it, the pages at it, such as `gw.test`. Default: `localhost`, where browsers see each name as a site of its own. */
  readonly domain?: string
}

export interface HttpTestGateway extends TestGateway {
  readonly target: HttpTarget
  /** @throws Error when it was not wanted. */
  readonly httpbin: ServerProgram
  /** Of an application: `https://app.localhost:PORT/hello`. */
  appUrl(path?: string, resource?: string): URL
  /** For any program that can read such files. */
  readonly curlPlace: CurlPlace
  httpGrant(login: Login, role: HttpTestRole, lengthMs?: number, resource?: string): Promise<Grant>
  /**
   * Goes in as a browser does, by redirects and pages; there must be a grant for the role.
   * @returns a browser of its own, whose cookies nobody else has.
   */
  enter(login: Login, role: HttpTestRole, resource?: string): Promise<Entered>
  /** `Authorization: Bearer …` and `Curfew-Role: …`, for programs. */
  bearer(login: Login, role: HttpTestRole): Promise<Readonly<Record<'authorization' | 'curfew-role', string>>>
  /** The real curl; a path alone is one of `app`. Wait for the answer, or let it run with `startCurl`. */
  curl(path: string | URL, args?: readonly string[], options?: ProgramOptions): Promise<CurlAnswer>
  startCurl(path: string | URL, args?: readonly string[], options?: ProgramOptions): Program
  /** To a path of `app`. */
  webSocket(path: string | URL, wish?: Partial<WebSocketWish>): Promise<TestWebSocket>
  /** One Chromium, which ends with the gateway. */
  browser(): Promise<TestBrowser>
  /** A page in a context of its own whose person is signed in at the gateway's pages. */
  page(login: Login): Promise<Page>
}

/** A person at an application, by cookie. */
export interface Entered extends AsyncDisposable {
  readonly visitor: Visitor
  /** For the `Cookie` header of programs at this application. */
  readonly cookie: string
  /** The words that curl needs for it. */
  readonly curl: readonly string[]
}

export async function startHttpTestGateway(options: HttpTestGatewayOptions = {}): Promise<HttpTestGateway> {
  await using stack = new AsyncDisposableStack()
  const target = isTarget(options.target) ? options.target : stack.use(await startHttpTarget(options.target))
  const httpbin = options.httpbin === true ? stack.use(await startHttpbin()) : null
  const bin = httpbin === null ? {} : { bin: { address: httpbin.address } }
  const others: NonNullable<HttpTestGatewayOptions['others']> = { ...options.others, ...bin }
  const domain = options.domain ?? 'localhost'
  const names = ['app', ...Object.keys(others)].map((name) => `${name}.${domain}`)
  const extra = [options.app ?? {}, ...Object.values(others)].flatMap(({ hosts = [] }) => hosts)
  const base = stack.use(
    await startTestGateway({
      ...options,
      host: domain,
      certificateNames: [...names, ...extra, ...(options.certificateNames ?? [])],
      beforeLoad: async (folder) => {
        await writeFile(join(folder, 'secrets', 'injected'), injected.password, { mode: 0o600 })
        await options.beforeLoad?.(folder)
      },
      configure: (config) => {
        config.resources['app'] = appInput(target, options)
        for (const [name, { address, ...more }] of Object.entries(others)) {
          config.resources[name] = httpInput({ url: address, ...more })
        }
        config.policies.unshift(...policies(['app', ...Object.keys(others)]))
        options.configure?.(config)
      },
    }),
  )
  return httpTestGateway({ base, target, httpbin, hosts: [domain, ...names, ...extra], domain, stack: stack.move() })
}

function isTarget(given: HttpTestGatewayOptions['target']): given is HttpTarget {
  return given !== undefined && 'facts' in given
}

function appInput(target: HttpTarget, options: HttpTestGatewayOptions): HttpInput {
  const addresses = [target, ...(options.moreTargets ?? [])].map(({ address }) => address)
  const tls = target.caFile === '' ? {} : { tls: { ca: target.caFile } }
  const speaks = isTarget(options.target) ? undefined : options.target?.version
  const version = speaks === 'http2' ? ({ version: 'http2' } as const) : {}
  return httpInput({ urls: addresses, ...tls, ...version, ...options.app })
}

function httpInput(more: Partial<HttpInput>): HttpInput {
  return { kind: 'http', description: 'An application of the tests', roles: structuredClone(roles) as never, ...more }
}

function policies(resources: readonly string[]): ConfigInput['policies'] {
  const who = { groups: ['engineering'] }
  const what = (names: readonly string[]) => ({ resources: [...resources], roles: [...names] })
  const free = Object.keys(roles).filter((name) => name !== 'asked')
  return [
    { name: 'applications', who, what: what(free), reason: 'optional', approval: 'none' },
    { name: 'applications, asked', who, what: what(['asked']), approval: { people: 1, from: ['approvers'] } },
  ]
}

interface Parts {
  readonly base: TestGateway
  readonly target: HttpTarget
  readonly httpbin: ServerProgram | null
  /** Every name that leads to the gateway. */
  readonly hosts: readonly string[]
  readonly domain: string
  readonly stack: AsyncDisposableStack
}

function httpTestGateway({ base, target, httpbin, hosts, domain, stack }: Parts): HttpTestGateway {
  const port = base.url.port
  const appUrl = (path = '/', resource = 'app') => new URL(path, `https://${resource}.${domain}:${port}`)
  const at = (path: string | URL) => (typeof path === 'string' ? appUrl(path) : path)
  const curlPlace = { caFile: base.caFile, resolve: hosts.map((host) => `${host}:${port}:127.0.0.1`) }
  const entrance = { base, appUrl }
  const browsers: { one?: Promise<TestBrowser> } = {}
  const browser = () => (browsers.one ??= launch(base, domain, stack))
  const own = {
    ...{ target, appUrl, curlPlace, browser },
    get httpbin() {
      if (httpbin === null) throw new Error('this gateway was started without httpbin')
      return httpbin
    },
    httpGrant: (login: Login, role: HttpTestRole, lengthMs = 3_600_000, resource = 'app') =>
      grant(base, { login, role, lengthMs, resource }),
    enter: (login: Login, role: HttpTestRole, resource = 'app') => enter(entrance, login, role, resource),
    bearer: async (login: Login, role: HttpTestRole) => ({
      authorization: `Bearer ${await base.token(login)}`,
      'curfew-role': role,
    }),
    curl: (path: string | URL, args: readonly string[] = [], how?: ProgramOptions) =>
      curl(curlPlace, [...args, at(path).href], how),
    startCurl: (path: string | URL, args: readonly string[] = [], how?: ProgramOptions) =>
      startCurl(curlPlace, [...args, at(path).href], how),
    webSocket: (path: string | URL, wish: Partial<WebSocketWish> = {}) =>
      openWebSocket(at(path), { ca: base.ca, ...wish }),
    page: async (login: Login) => signedIn(await (await browser()).page(), base.url, login),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
  return Object.defineProperties(
    Object.create(base),
    Object.getOwnPropertyDescriptors(own),
  ) as TestGateway as HttpTestGateway
}

async function launch(base: TestGateway, domain: string, stack: AsyncDisposableStack): Promise<TestBrowser> {
  return stack.use(await openBrowser([base.certificate], domain === 'localhost' ? undefined : domain))
}

async function signedIn(page: Page, url: URL, login: Login): Promise<Page> {
  await page.goto(new URL('/sign-in', url).href)
  await signInAtProvider(page, url.origin, login)
  return page
}

interface GrantWish {
  readonly login: Login
  readonly role: HttpTestRole
  readonly lengthMs: number
  readonly resource: string
}

async function grant(base: TestGateway, { login, ...wanted }: GrantWish): Promise<Grant> {
  const { access } = base.gateway
  const asker = await base.person(login)
  const request = await access.ask(asker, { ...wanted, reason: 'a test', ticket: null, startsAt: null, origin: 'test' })
  if (wanted.role === 'asked') await access.decide(await base.person('bob'), request.id, 'approve', '')
  const found = (await access.livingGrants(asker.id)).find((one) => one.request === request.id)
  if (found === undefined) throw new Error(`no grant came of ${request.id}`)
  return found
}

interface Entrance {
  readonly base: TestGateway
  readonly appUrl: HttpTestGateway['appUrl']
}

async function enter({ base, appUrl }: Entrance, login: Login, role: HttpTestRole, resource: string): Promise<Entered> {
  const visitor = new Visitor(base.ca)
  try {
    await visitor.open(new URL('/sign-in', base.url), login)
    const wanted = appUrl('/status/200', resource)
    const away = await visitor.get(wanted)
    const link = away.headers.get('location')
    if (away.status !== 303 || link === null) throw new Error(`${wanted.href} answered ${away.status}`)
    const open = new URL(link)
    open.searchParams.set('role', role)
    const landed = await visitor.open(open, login)
    if (landed.url.href !== wanted.href || landed.status !== 200) {
      throw new Error(`${login} did not get in: ${landed.status} at ${landed.url.href}\n${landed.body}`)
    }
    const cookie = visitor.cookie(wanted)
    return {
      ...{ visitor, cookie },
      curl: ['-H', `cookie: ${cookie}`],
      [Symbol.asyncDispose]: () => visitor[Symbol.asyncDispose](),
    }
  } catch (error) {
    await visitor[Symbol.asyncDispose]()
    throw error
  }
}
