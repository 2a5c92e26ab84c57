import { Fault } from '../../../kernel/fault.ts'
import type { Clock } from '../../../kernel/time.ts'
import type { GrantUser, PostgresResource, PostgresRole } from '../../../resources/catalogue.ts'
import { Inbox } from '../inbox.ts'
import { Fields, fromClient, fromServer, int32, message, query, readReport, terminate } from '../messages.ts'
import { connectTarget, type Target, type TargetDeps } from '../target.ts'
import { targetUnreadBytesMax } from '../target-socket.ts'

/** A role whose users are made. */
export interface MakingRole {
  readonly resource: PostgresResource
  readonly role: PostgresRole
  readonly user: GrantUser
}

/** The target did not do what it was told. Never shows the statement. */
export class StatementRefused extends Error {
  override readonly name = 'StatementRefused'
  readonly sqlstate: string
  readonly detail: string
  constructor(sqlstate: string, words: string, detail = '') {
    super(`${sqlstate} ${words}`)
    this.sqlstate = sqlstate
    this.detail = detail
  }
}

export type Row = readonly string[]

/** All that is done in one connection, connecting aside. */
const workMsMax = 20_000
const messageBytesMax = 64 * 1024
const rowsMax = 10_000
const messagesMax = 20_000

/**
 * Does some work as the administrator of a role's users, in a connection of its own to the server that takes writes.
 * @throws Fault UPSTREAM_UNREACHABLE, UPSTREAM_TLS, UPSTREAM_REFUSED; StatementRefused
 */
export async function asAdministrator<T>(
  making: MakingRole,
  signal: AbortSignal,
  deps: TargetDeps,
  work: (administrator: Administrator) => Promise<T>,
): Promise<T> {
  const target = await connectTarget(wishOf(making), signal, deps)
  const late = new AbortController()
  const timer = deps.clock.after(workMsMax, () => late.abort(lateFault(making)))
  const administrator = new Administrator(target, AbortSignal.any([signal, late.signal]), deps.clock)
  try {
    const done = await work(administrator)
    target.socket.end(terminate)
    return done
  } finally {
    timer.cancel()
    target.socket.destroySoon()
  }
}

function wishOf({ resource, role, user: { administrator } }: MakingRole) {
  const { login, password, database } = administrator
  return {
    resource: { ...resource, targetSession: 'read-write' as const },
    role: { ...role, login, password },
    database,
    parameters,
  }
}

/** What statements here rest on; and names are looked up nowhere else. */
const parameters = Object.entries({
  application_name: 'curfew',
  client_encoding: 'UTF8',
  standard_conforming_strings: 'on',
  search_path: 'pg_catalog',
  default_transaction_read_only: 'off',
  statement_timeout: '10s',
  lock_timeout: '5s',
})

function lateFault({ resource }: MakingRole): Fault {
  return new Fault('UPSTREAM_UNREACHABLE', `${resource.name} did not answer in time.`)
}

/** One connection, one statement at a time. */
export class Administrator {
  readonly clock: Clock
  readonly #target: Target
  readonly #signal: AbortSignal
  readonly #inbox: Inbox

  constructor(target: Target, signal: AbortSignal, clock: Clock) {
    this.#target = target
    this.#signal = signal
    this.clock = clock
    this.#inbox = new Inbox(target.socket, targetUnreadBytesMax)
    target.socket.resume()
  }

  /** `16` of 16.3; 0 where the server does not say. */
  get serverMajor(): number {
    return Number.parseInt(new Map(this.#target.parameters).get('server_version') ?? '0', 10)
  }

  /** @returns the rows of one statement; null is ''. */
  async run(sql: string): Promise<readonly Row[]> {
    this.#target.socket.write(query(sql))
    return await this.#untilReady()
  }

  /**
   * Sets a parameter of the transaction without a statement that shows it: the arguments of a FunctionCall are in no log.
   * @see PostgreSQL manual, "Fast-Path Interface"
   */
  async setQuietly(name: string, value: string): Promise<void> {
    const [[oid] = []] = await this.run(
      `select 'pg_catalog.set_config(text,text,boolean)'::pg_catalog.regprocedure::oid`,
    )
    this.#target.socket.write(functionCall(Number(oid), [name, value, 'true']))
    await this.#untilReady()
  }

  async #untilReady(): Promise<readonly Row[]> {
    const rows: Row[] = []
    let refused: StatementRefused | undefined
    for (let count = 0; count < messagesMax && rows.length <= rowsMax; count++) {
      const { type, body } = await this.#next()
      if (type === fromServer.dataRow) rows.push(readRow(body))
      else if (type === fromServer.errorResponse) refused ??= refusalOf(body)
      else if (type === fromServer.readyForQuery) {
        if (refused !== undefined) throw refused
        return rows
      }
    }
    throw new StatementRefused('', 'the answer was too long')
  }

  async #next(): Promise<{ type: number; body: Buffer }> {
    const head = new Fields(Buffer.from(await this.#inbox.take(5, this.#signal)))
    const [type, bodyBytes] = [head.uint8(), head.int32() - 4]
    if (bodyBytes < 0 || bodyBytes > messageBytesMax) throw new StatementRefused('', 'the answer was too long')
    return { type, body: await this.#inbox.take(bodyBytes, this.#signal) }
  }
}

function readRow(body: Buffer): Row {
  const fields = new Fields(body)
  return Array.from({ length: fields.int16() }, () => fields.bytes(Math.max(0, fields.int32())).toString())
}

function refusalOf(body: Buffer): StatementRefused {
  const report = readReport(body)
  return new StatementRefused(report.sqlstate, report.message, report.detail)
}

function functionCall(oid: number, values: readonly string[]): Buffer {
  const texts = values.map((value) => Buffer.from(value))
  const formats = Buffer.of(0, 1, 0, 0) // one code for all of them: text
  const count = Buffer.of(0, texts.length)
  const parts = texts.flatMap((text) => [int32(text.length), text])
  return message(fromClient.functionCall, int32(oid), formats, count, ...parts, Buffer.of(0, 0))
}
