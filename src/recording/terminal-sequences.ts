/** What stands in a stream of terminal output: text, single control characters, and sequences (ECMA-48). */
export type TerminalToken =
  | { readonly kind: 'text'; readonly text: string }
  /** C0 but for ESC, and DEL. */
  | { readonly kind: 'control'; readonly text: string }
  /** CSI: cursor, colours, modes, questions. `parameters` with intermediate characters; cut at 32 characters. */
  | { readonly kind: 'csi'; readonly parameters: string; readonly final: string }
  /** ESC and what follows. */
  | { readonly kind: 'escape'; readonly text: string }
  /** OSC, DCS, SOS, PM, APC: a string for the terminal program; its content is not kept. */
  | { readonly kind: 'string' }

const parametersMax = 32
const csi = '\u009b'
const stringEnd = '\u009c'
const stringStarts = '\u0090\u0098\u009d\u009e\u009f' // DCS, SOS, OSC, PM, APC
const afterEscape: Readonly<Record<string, string>> = {
  '[': csi,
  P: '\u0090',
  X: '\u0098',
  ']': '\u009d',
  '^': '\u009e',
  _: '\u009f',
}

type State = 'text' | 'escape' | 'csi' | 'string' | 'string-escape'

/** Cuts output into tokens; a sequence may be spread over any number of pieces. Memory is bounded. */
export class TerminalSequences {
  #state: State = 'text'
  #collected = '';

  *read(text: string): Generator<TerminalToken> {
    let plainFrom = 0
    for (let at = 0; at < text.length; at++) {
      const character = text[at]!
      if (this.#state === 'text' && !isControl(character)) continue
      if (this.#state === 'text' && at > plainFrom) yield { kind: 'text', text: text.slice(plainFrom, at) }
      const token = this.#step(character)
      if (token !== null) yield token
      plainFrom = at + 1
    }
    if (this.#state === 'text' && plainFrom < text.length) yield { kind: 'text', text: text.slice(plainFrom) }
  }

  #step(character: string): TerminalToken | null {
    // CAN and SUB end whatever has begun; an ESC begins anew, but in a string it may be the first half of its end.
    if (character === '\u0018' || character === '\u001a') return this.#enter('text')
    if (character === '\u001b') return this.#enter(this.#state === 'string' ? 'string-escape' : 'escape')
    switch (this.#state) {
      case 'text':
        return this.#control(character)
      case 'escape':
        return this.#afterEscape(character)
      case 'csi':
        return this.#inCsi(character)
      case 'string':
        return character === '\u0007' || character === stringEnd ? this.#end({ kind: 'string' }) : null
      case 'string-escape':
        if (character === '\\') return this.#end({ kind: 'string' })
        this.#enter('escape')
        return this.#afterEscape(character)
    }
  }

  #control(character: string): TerminalToken | null {
    if (character === csi) return this.#enter('csi')
    if (stringStarts.includes(character)) return this.#enter('string')
    return character < '\u0080' ? { kind: 'control', text: character } : { kind: 'escape', text: '' }
  }

  #afterEscape(character: string): TerminalToken | null {
    const opens = afterEscape[character]
    if (opens === csi) return this.#enter('csi')
    if (opens !== undefined) return this.#enter('string')
    if (character < ' ') return { kind: 'control', text: character } // done at once, the sequence goes on
    this.#collected += character
    const isIntermediate = character <= '/' && this.#collected.length < parametersMax
    return isIntermediate ? null : this.#end({ kind: 'escape', text: this.#collected })
  }

  #inCsi(character: string): TerminalToken | null {
    if (character < ' ') return { kind: 'control', text: character }
    if (character >= '@') return this.#end({ kind: 'csi', parameters: this.#collected, final: character })
    if (this.#collected.length < parametersMax) this.#collected += character
    return null
  }

  #enter(state: State): null {
    this.#state = state
    this.#collected = ''
    return null
  }

  #end(token: TerminalToken): TerminalToken {
    this.#enter('text')
    return token
  }
}

function isControl(character: string): boolean {
  return character < ' ' || (character >= '\u007f' && character <= '\u009f')
}

// Questions that a terminal would answer as if the person had typed it: CSI c, n, t, x, u, and DECRQM (`$p`).
const questions = 'cntxq'

/**
 * Output of a recording, fit to be sent to the terminal of somebody who watches it: nothing in it makes that terminal
 * answer, set its title or clipboard, or do what else strings ask of it. Text, colours, cursor and screens stay.
 */
export class WatchableOutput {
  readonly #sequences = new TerminalSequences()
  #otherScreen = false

  take(text: string): string {
    let out = ''
    for (const token of this.#sequences.read(text)) {
      const screen = token.kind === 'csi' && /^\?(47|1047|1049)$/.test(token.parameters)
      if (screen && (token.final === 'h' || token.final === 'l')) this.#otherScreen = token.final === 'h'
      out += watchable(token)
    }
    return out
  }

  /** Puts a terminal back to what it usually is: screen, colours, characters, cursor, keypad, wrapping, pasting. */
  end(): string {
    const screen = this.#otherScreen ? '\u001b[?1049l' : ''
    this.#otherScreen = false
    return `${screen}\u001b[0m\u001b(B\u000f\u001b[?25h\u001b[?1l\u001b>\u001b[?7h\u001b[?2004l\r\n`
  }
}

function watchable(token: TerminalToken): string {
  switch (token.kind) {
    case 'text':
      return token.text
    case 'control':
      return '\b\t\n\v\f\r\u000e\u000f\u0007'.includes(token.text) ? token.text : ''
    case 'csi':
      return isQuestion(token.parameters, token.final) ? '' : `\u001b[${token.parameters}${token.final}`
    case 'escape':
      // 7, 8: cursor; D, E, M: lines; H: tab; c: reset; =, >: keypad; ( ) * + and one more: character sets.
      return /^([78DEHMc=>]|[()*+].)$/.test(token.text) ? `\u001b${token.text}` : ''
    case 'string':
      return ''
  }
}

function isQuestion(parameters: string, final: string): boolean {
  if (final === 'q') return parameters.startsWith('>') // XTVERSION; with a space it is the cursor's shape
  if (final === 'u') return parameters.startsWith('?')
  if (final === 'p') return parameters.endsWith('$')
  // Mouse and focus reports, and other modes in which the terminal writes by itself.
  if (final === 'h') return /^\?.*\b(9|100[0-6]|1015|1016|2031|2048)\b/.test(parameters)
  return questions.includes(final)
}
