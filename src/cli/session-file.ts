import { readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import { readEnvironment, userFolder } from '../config/environment.ts'
import { gatewayOrigin, readAuthorities, usualGateway } from './known-gateways.ts'
import { writePrivateFile } from './private-file.ts'
import { CliProblem } from './problem.ts'

const sessionSchema = z.strictObject({
  /** Origin of the gateway's pages. */
  gateway: z.url(),
  /** PEM of the authorities to trust; null for the system's. */
  ca: z.string().nullable(),
  token: z.string(),
  /** As the gateway names the person. */
  person: z.string(),
  expiresAt: z.iso.datetime(),
})

/** What `curfew login` leaves for the other commands. */
export type CliSession = z.output<typeof sessionSchema>

function sessionFile(): string {
  return join(userFolder(readEnvironment()), 'session.json')
}

/**
 * What a job shows in its environment, or what `curfew login` left.
 * @throws CliProblem when there is neither, or others could read it.
 */
export async function readSession(): Promise<CliSession> {
  const { CURFEW_TOKEN: token = '', CURFEW_GATEWAY: gateway, CURFEW_CA: ca } = readEnvironment()
  return token === '' ? readKeptSession() : jobSession(token, gateway, ca)
}

/** How long it lasts only the gateway knows. */
const unknownEnd = '9999-12-31T00:00:00.000Z'

async function jobSession(token: string, gateway: string | undefined, ca: string | undefined): Promise<CliSession> {
  const at = gateway === undefined ? await usualGateway('CURFEW_GATEWAY') : { gateway: namedGateway(gateway), ca: null }
  const trusted = ca === undefined ? at : { ...at, ca: await readAuthorities(ca) }
  return { ...trusted, token, person: '', expiresAt: unknownEnd }
}

function namedGateway(text: string): string {
  try {
    return gatewayOrigin(text)
  } catch (cause) {
    throw new CliProblem(`CURFEW_GATEWAY: ${(cause as Error).message}`, { cause, exitCode: 2 })
  }
}

/** By this machine's clock, which may be wrong: the gateway decides, and this tells what its refusal means. */
export function seemsOver({ expiresAt }: Pick<CliSession, 'expiresAt'>): boolean {
  return Date.parse(expiresAt) <= Date.now()
}

/** Whether it still holds or not. @throws CliProblem when there is none, or others could read it. */
export async function readKeptSession(): Promise<CliSession> {
  const file = sessionFile()
  const { text, mode } = await readWithMode(file)
  if ((mode & 0o077) !== 0) {
    throw new CliProblem(`others may read ${file}, which holds your session`, {
      hint: `Log in again, or: chmod 600 ${file}`,
    })
  }
  const parsed = sessionSchema.safeParse(parseJson(text))
  if (!parsed.success)
    throw new CliProblem(`${file} is not a session`, { hint: 'Log in again: curfew login --gateway URL' })
  return parsed.data
}

async function readWithMode(file: string): Promise<{ readonly text: string; readonly mode: number }> {
  try {
    return { mode: (await stat(file)).mode, text: await readFile(file, 'utf8') }
  } catch (cause) {
    throw new CliProblem('you are not logged in', { cause, hint: 'Log in: curfew login --gateway URL' })
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // the schema then says that it is no session
  }
}

/** Whole or not at all, mode 0600 in a folder of mode 0700. @returns the file's path. */
export async function writeSession(session: CliSession): Promise<string> {
  const file = sessionFile()
  await writePrivateFile(file, `${JSON.stringify(session, null, 2)}\n`)
  return file
}

export async function forgetSession(): Promise<void> {
  await rm(sessionFile(), { force: true })
}
