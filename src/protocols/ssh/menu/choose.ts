import { asFault, Fault } from '../../../kernel/fault.ts'
import type { Admission } from '../../../sessions/admission.ts'
import { admitAsking, type AdmitDeps, type Asked } from '../auth/admit.ts'
import type { Conversation, Prompt } from '../conversation.ts'
import { knownPerson, reachOf, type Reachable, type ReachDeps } from './reach.ts'
import { Interrupted, type Terminal } from './terminal.ts'
import { faultText, foundText, greeting, menuText, misnamedText, noChoiceText, noShellText } from './words.ts'

export type ChooseDeps = ReachDeps & AdmitDeps

/** What came of a visit to the menu: a session to begin, or nothing more. */
export type Choice =
  | { readonly kind: 'session'; readonly admission: Admission; readonly hasWaited: boolean }
  | { readonly kind: 'quit' }

/** Asked before somebody is admitted: whether this connection can become a session at all. @throws Fault */
type MayBegin = () => void

/**
 * Shows what there is until something is chosen and may be used, or the person has had enough.
 * @throws Closed when the person hangs up; Fault SIGNED_OUT; whatever else is no mistake of a choice.
 */
export async function choose(
  terminal: Terminal,
  who: Pick<Conversation, 'identified' | 'client' | 'wanted'>,
  columns: () => number | null,
  mayBegin: MayBegin,
  deps: ChooseDeps,
): Promise<Choice> {
  terminal.print(greeting(who.identified.personName))
  if (who.wanted.kind === 'menu' && who.wanted.misnamed !== undefined) {
    terminal.print(`${misnamedText(who.wanted.misnamed)}\n`)
  }
  for (let isShown = false; ;) {
    const reach = await reachOf(who.identified, deps)
    const own = reach.filter(({ kind }) => kind === 'ssh')
    if (!isShown) terminal.print(menuText(reach, columns()))
    isShown = true
    const answer = await terminal.readLine(`\n${own.length > 0 ? 'Number to connect, ' : ''}l to list, q to quit: `)
    if (answer.kind === 'end') return { kind: 'quit' }
    const word = answer.kind === 'line' ? answer.text.trim().toLowerCase() : ''
    if (['q', 'quit', 'exit', 'logout'].includes(word)) return { kind: 'quit' }
    if (['l', 'ls', 'list', 'status'].includes(word)) isShown = false
    else if (word !== '') {
      const choice = await connect(terminal, who, word, reach, columns(), mayBegin, deps)
      if (choice !== undefined) return choice
    }
  }
}

/** Undefined: it did not come about, and the person knows why. */
async function connect(
  terminal: Terminal,
  who: Pick<Conversation, 'identified' | 'client'>,
  word: string,
  reach: readonly Reachable[],
  widthMax: number | null,
  mayBegin: MayBegin,
  deps: ChooseDeps,
): Promise<Choice | undefined> {
  const chosen = find(
    word,
    reach.filter(({ kind }) => kind === 'ssh'),
  )
  if (chosen === undefined) {
    terminal.print(foundText(word, reach, widthMax) ?? noChoiceText(word, reach))
    return undefined
  }
  if (!chosen.hasShell) {
    terminal.print(noShellText(chosen))
    return undefined
  }
  const person = new PersonAtTerminal(terminal, who)
  try {
    mayBegin()
    await knownPerson(who.identified, deps)
    const admission = await terminal.waitFor((signal) => admitAsking(person, chosen, signal, deps))
    return { kind: 'session', admission, hasWaited: person.hasWaited }
  } catch (error) {
    if (error instanceof Interrupted) {
      terminal.print('\nStopped. A request that you made stays open.\n')
      return undefined
    }
    const fault = asFault(error)
    if (fault === undefined || fault.code === 'SIGNED_OUT') throw error
    terminal.print(faultText(fault))
    return undefined
  }
}

/** By number, by `role@resource` or `role+resource`, or by a resource with one role alone. */
function find(word: string, own: readonly Reachable[]): Reachable | undefined {
  if (/^\d{1,6}$/.test(word)) return own[Number(word) - 1]
  const named = own.filter(({ resource, role }) =>
    [`${role}@${resource}`, `${role}+${resource}`, resource].includes(word),
  )
  return named.length === 1 ? named[0] : undefined
}

/** Asks and tells on the terminal what a conversation would before somebody is let in. */
class PersonAtTerminal implements Asked {
  readonly identified: Asked['identified']
  readonly client: Asked['client']
  readonly isInteractive = true
  /** They read that they wait: what they typed since is not for the target. */
  hasWaited = false
  readonly #terminal: Terminal

  constructor(terminal: Terminal, { identified, client }: Pick<Conversation, 'identified' | 'client'>) {
    this.#terminal = terminal
    this.identified = identified
    this.client = client
  }

  say(text: string): void {
    this.#terminal.print(`${text}\n`)
  }

  show(title: string, instruction: string): Promise<void> {
    this.hasWaited = true
    this.#terminal.print(`\n${title}. Ctrl-C stops waiting.\n${instruction}\n`)
    return Promise.resolve()
  }

  async ask(title: string, instruction: string, prompts: readonly Prompt[]): Promise<readonly string[]> {
    this.#terminal.print(`\n${title}\n${instruction}\n`)
    const answers: string[] = []
    for (const { text } of prompts) {
      const answer = await this.#terminal.readLine(text)
      if (answer.kind !== 'line') throw new Interrupted('the person stopped answering')
      answers.push(answer.text)
    }
    return answers
  }
}

export function manyChannels(): Fault {
  return new Fault('TOO_MANY_CONNECTIONS', 'Other channels of this connection are in use.', {
    hint: 'Close them, or connect with: ssh role@resource@gateway',
  })
}
