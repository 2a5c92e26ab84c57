import { readFile, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type * as z from 'zod'
import { readEnvironment, userFolder } from '../../config/environment.ts'
import { readCertificate } from '../../identity/ssh/certificate.ts'
import { readPublicLine } from '../../identity/ssh/public-key.ts'
import type { sshDirectory } from '../../web/api-schema.ts'
import { writePrivateFile } from '../private-file.ts'
import { CliProblem } from '../problem.ts'
import { shellWord } from '../shell-words.ts'
import type { KeyPairTexts } from './key-pair.ts'

export type Directory = z.output<typeof sshDirectory>

/** What the CLI keeps for `ssh`, in one folder per gateway. All paths can be written in an ssh_config as they are, but for spaces. */
export interface SshFiles {
  readonly folder: string
  readonly key: string
  readonly publicKey: string
  readonly certificate: string
  readonly knownHosts: string
  /** A small shell script that gets a new certificate when this one is near its end. */
  readonly renew: string
}

/** @throws CliProblem when the user's folder has a name that ssh would read otherwise. */
export function sshFiles(gateway: string): SshFiles {
  const folder = join(userFolder(readEnvironment()), 'ssh', new URL(gateway).host.replaceAll(/[^\w.-]/g, '_'))
  // Percent signs, ${…}, quotes and backslashes mean something in ssh_config. @see ssh_config(5), "TOKENS"
  if (/[%"'\\\n]|\$\{/.test(folder)) {
    throw new CliProblem(`ssh would not understand the path ${folder}`, {
      hint: 'Set XDG_CONFIG_HOME to a folder without quotes, %, $ and backslashes in its path.',
    })
  }
  return {
    folder,
    key: join(folder, 'id_ed25519'),
    publicKey: join(folder, 'id_ed25519.pub'),
    certificate: join(folder, 'id_ed25519-cert.pub'),
    knownHosts: join(folder, 'known_hosts'),
    renew: join(folder, 'renew.sh'),
  }
}

export async function writeKeyPair(files: SshFiles, { privateText, publicLine }: KeyPairTexts): Promise<void> {
  await rm(files.certificate, { force: true })
  await writePrivateFile(files.key, privateText)
  await writePrivateFile(files.publicKey, `${publicLine}\n`)
}

/** The gateway's keys are known from HTTPS: nobody has to compare a fingerprint. */
export function writeKnownHosts(files: SshFiles, { host, hostKeys }: Directory): Promise<void> {
  return writePrivateFile(files.knownHosts, hostKeys.map((key) => `${host} ${key}\n`).join(''))
}

/** @param renewAtMs earlier than this the script does nothing, and costs nothing. */
export async function writeCertificate(files: SshFiles, certificate: string, renewAtMs: number): Promise<void> {
  await writePrivateFile(files.certificate, `${certificate}\n`)
  await writePrivateFile(files.renew, renewScript(renewAtMs))
}

/** GUI programs start ssh without the user's PATH, so that both programs are named in full. */
function renewScript(renewAtMs: number): string {
  const configHome = dirname(userFolder(readEnvironment()))
  const command = [process.execPath, process.argv[1] ?? '', 'login', '--renew'].map(shellWord).join(' ')
  return `# Made by curfew. ssh runs it (Match exec) to have a certificate that still holds.
[ "$(date +%s)" -lt ${Math.floor(renewAtMs / 1000)} ] && exit 0
XDG_CONFIG_HOME=${shellWord(configHome)} exec ${command} </dev/null >/dev/null 2>&1
`
}

/** How long the certificate on the disk holds, milliseconds since the epoch. */
export interface Standing {
  readonly validAfterMs: number
  readonly endsAtMs: number
  readonly publicLine: string
}

/** Undefined when there is none, or what is there does not belong together: a new one mends that. */
export async function readStanding(files: SshFiles): Promise<Standing | undefined> {
  try {
    const [publicLine, certificateLine] = await Promise.all([
      readFile(files.publicKey, 'utf8'),
      readFile(files.certificate, 'utf8'),
      readFile(files.key),
    ])
    const { publicBlob, validAfter, validBefore } = readCertificate(
      Buffer.from(certificateLine.split(' ')[1] ?? '', 'base64'),
    )
    if (!publicBlob.equals(readPublicLine(publicLine).key.blob)) return undefined
    return { validAfterMs: validAfter * 1000, endsAtMs: validBefore * 1000, publicLine: publicLine.trim() }
  } catch {
    return undefined // missing or damaged: both are mended in the same way
  }
}

/** What the gateway is known by stays: a block of `curfew ssh-config` goes on to work, with a sign-in in the browser. */
export async function forgetSshFiles({ key, publicKey, certificate, renew }: SshFiles): Promise<void> {
  for (const file of [key, publicKey, certificate, renew]) await rm(file, { force: true })
}
