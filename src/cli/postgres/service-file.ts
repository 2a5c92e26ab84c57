import { readFile, realpath, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { readEnvironment } from '../../config/environment.ts'
import { writePrivateFile } from '../private-file.ts'
import { CliProblem } from '../problem.ts'
import type { Connection } from './connection.ts'

/** @see PostgreSQL manual, "The Connection Service File" */
export function serviceFile(): string {
  return readEnvironment()['PGSERVICEFILE'] || join(homedir(), '.pg_service.conf')
}

/** One section, with its line ends. Values go to the end of the line and have no quotes. */
export function serviceEntry(name: string, connection: Connection): string {
  const settings = {
    host: connection.host,
    port: String(connection.port),
    user: connection.user,
    dbname: connection.database,
    sslmode: 'verify-full',
    sslcert: connection.certificate,
    sslkey: connection.key,
    sslrootcert: connection.rootCertificate,
  }
  const lines = Object.entries(settings).map(([keyword, value]) => `${keyword}=${value}\n`)
  return `[${name}]\n${lines.join('')}`
}

/**
 * Puts the entry between marks of ours, in place of what stood there. A link stays a link, and the mode stays.
 * @throws CliProblem when the file has a service of this name that is not ours.
 */
export async function writeService(file: string, name: string, entry: string): Promise<void> {
  const text = await readFile(file, 'utf8').catch(absent)
  if (text === undefined) return writePrivateFile(file, withEntry('', name, entry, file))
  const real = await realpath(file)
  await writePrivateFile(real, withEntry(text, name, entry, file), (await stat(real)).mode & 0o777)
}

/** @param file for the message only. */
export function withEntry(text: string, name: string, entry: string, file: string): string {
  const [begin, end] = [`# curfew ${name}: made by curfew env`, `# curfew ${name}: end`]
  const marked = `${begin}\n${entry}${end}\n`
  const lines = text === '' ? [] : text.replace(/\n$/, '').split('\n')
  const from = lines.indexOf(begin)
  const to = from < 0 ? -1 : lines.indexOf(end, from)
  const others = to < 0 ? lines : [...lines.slice(0, from), ...lines.slice(to + 1)]
  if (others.some((line) => line.trim() === `[${name}]`)) {
    throw new CliProblem(`${file} has a service ${name} already`, {
      hint: 'Choose another name: --service NAME. Or take that one away first.',
    })
  }
  if (to < 0) return lines.length === 0 ? marked : `${lines.join('\n')}\n\n${marked}`
  return `${[...lines.slice(0, from), marked.trimEnd(), ...lines.slice(to + 1)].join('\n')}\n`
}

function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
}
