/** A program as at a terminal: what it writes can be awaited, and what it asks, answered. */
import { Program } from '../../clients/program.ts'
import type { SshTestGateway } from '../../servers/ssh-gateway.ts'

/** @param env joins the small, clean environment of `Program`. */
export function atTerminal(words: readonly string[], env: Readonly<Record<string, string>> = {}): Program {
  const command = words.map((word) => `'${word.replaceAll("'", String.raw`'\''`)}'`).join(' ')
  const size = { COLUMNS: '100', LINES: '30', TERM: 'xterm' }
  return new Program('script', ['-qefc', `stty cols 100 rows 30; ${command}`, '/dev/null'], {
    env: { ...size, ...env },
  })
}

/** Answers the sign-in that a program shows, on the page. @returns the code. */
export async function signInFor(program: Program, gateway: SshTestGateway, more: Record<string, string> = {}) {
  const [, code] = await program.until(/must show the code ([A-Z0-9]+-[A-Z0-9]+)/)
  const visitor = await gateway.visitor('alice')
  const page = new URL(`/s/${code}`, gateway.url)
  const shown = await (await visitor.get(page)).text()
  const answered = await visitor.post(page, { answer: 'confirm', remember: 'yes', ...more })
  if (answered.status !== 303) throw new Error(`the page answered ${answered.status}`)
  return { code: code!, page: shown }
}
