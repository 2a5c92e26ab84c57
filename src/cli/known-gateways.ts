import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import { readEnvironment, userFolder } from '../config/environment.ts'
import { writePrivateFile } from './private-file.ts'
import { CliProblem } from './problem.ts'

const knownSchema = z.array(
  z.strictObject({
    /** Origin of the gateway's pages. */
    gateway: z.url(),
    /** PEM of the authorities to trust; null for the system's. */
    ca: z.string().nullable(),
  }),
)

export type KnownGateway = z.output<typeof knownSchema>[number]

const knownMax = 20

function knownFile(): string {
  return join(userFolder(readEnvironment()), 'gateways.json')
}

/** Those that somebody has logged in to from here, the last first. It is a convenience: what cannot be read is nothing. */
async function readKnown(): Promise<readonly KnownGateway[]> {
  try {
    return knownSchema.parse(JSON.parse(await readFile(knownFile(), 'utf8')))
  } catch {
    return [] // none yet, or damaged: then --gateway says it, and the next login writes it anew
  }
}

export async function rememberGateway({ gateway, ca }: KnownGateway): Promise<void> {
  const others = (await readKnown()).filter((one) => one.gateway !== gateway)
  const known = [{ gateway, ca }, ...others].slice(0, knownMax)
  await writePrivateFile(knownFile(), `${JSON.stringify(known, null, 2)}\n`)
}

/** The one gateway that was used before. @param variable of the environment, where that is the way to name one. @throws CliProblem when there is none, or one must choose. */
export async function usualGateway(variable?: string): Promise<KnownGateway> {
  const known = await readKnown()
  const [only, ...others] = known
  if (only !== undefined && others.length === 0) return only
  const message =
    only === undefined ? 'which gateway?' : `which gateway? ${known.map(({ gateway }) => gateway).join(', ')}`
  const way =
    variable === undefined
      ? `curfew login --gateway ${only?.gateway ?? 'URL'}`
      : `${variable}=${only?.gateway ?? 'URL'}`
  throw new CliProblem(message, { exitCode: 2, hint: `Say it: ${way}` })
}

/** What to type to log in there again. Without the address it is trusted as it was before. */
export async function loginCommand(gateway: string): Promise<string> {
  const known = await readKnown()
  return known.length === 1 && known[0]!.gateway === gateway ? 'curfew login' : `curfew login --gateway ${gateway}`
}

/** @throws CliProblem; http is only for a gateway on this machine. */
export function gatewayOrigin(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const local = url !== undefined && /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname)
  if (url !== undefined && (url.protocol === 'https:' || (url.protocol === 'http:' && local))) return url.origin
  throw new CliProblem(`"${text}" is not the address of a gateway; expected https://HOST`)
}

export async function readAuthorities(file: string): Promise<string> {
  const text = await readFile(file, 'utf8')
  if (text.includes('-----BEGIN CERTIFICATE-----')) return text
  throw new CliProblem(`${file} holds no PEM certificate`)
}
