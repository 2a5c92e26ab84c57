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
    if (character === '\u007f') return null // terminals pass over it
    if (character > '~') return this.#brokenOff(character)
    if (character >= '@') return this.#end({ kind: 'csi', parameters: this.#collected, final: character })
    if (this.#collected.length < parametersMax) this.#collected += character
    return null
  }

  /** By what stands in no sequence: a C1 begins its own, and text is text. */
  #brokenOff(character: string): TerminalToken | null {
    this.#enter('text')
    return isControl(character) ? this.#control(character) : { kind: 'text', text: character }
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

/**
 * Output of a recording, fit to be sent to the terminal of somebody who watches it: nothing in it makes that terminal
 * answer, set its title or clipboard, or do what else strings ask of it. Text, colours, cursor and screens stay.
 */
export class WatchableOutput {
  readonly #sequences = new TerminalSequences()
  /** Modes that are on, and usually are not. */
  readonly #modes = new Set<string>()
  #margins = false

  take(text: string): string {
    let out = ''
    for (const token of this.#sequences.read(text)) {
      const shown = watchable(token)
      if (token.kind === 'csi' && shown !== '') this.#note(token.parameters, token.final)
      out += shown
    }
    return out
  }

  /** Puts a terminal back to what it usually is: screen, modes, margins, colours, characters, cursor, keypad, wrapping, pasting. */
  end(): string {
    const screen = this.#modes.has(otherScreen) ? '\u001b[?1049l' : ''
    const others = [...this.#modes].filter((mode) => mode !== otherScreen).map((mode) => `\u001b[${mode}l`)
    // Both take the cursor to the top, where what comes next would be written over what stands there.
    const margins = this.#margins || this.#modes.has('?6') ? '\u001b[r\u001b[999;1H' : ''
    this.#modes.clear()
    this.#margins = false
    return `${screen}${others.join('')}${margins}\u001b[0m\u001b(B\u000f\u001b[?25h\u001b[?1l\u001b>\u001b[?7h\u001b[?2004l\r\n`
  }

  #note(parameters: string, final: string): void {
    if (final === 'r') this.#margins = parameters !== ''
    if (final !== 'h' && final !== 'l') return
    const mark = parameters.startsWith('?') ? '?' : ''
    for (const number of parameters.slice(mark.length).split(';')) {
      const mode = modeOf(`${mark}${Number(number)}`)
      if (final === 'l') this.#modes.delete(mode)
      else if (!putBackAnyway.has(mode)) this.#modes.add(mode)
    }
  }
}

const otherScreen = '?1049'
/** Put back at every end, or of no harm. */
const putBackAnyway: ReadonlySet<string> = new Set(['?1', '?7', '?12', '?25', '?1048', '?2004'])

function modeOf(mode: string): string {
  return mode === '?47' || mode === '?1047' ? otherScreen : mode
}

function watchable(token: TerminalToken): string {
  switch (token.kind) {
    case 'text':
      return token.text
    case 'control':
      return '\b\t\n\v\f\r\u000e\u000f\u0007'.includes(token.text) ? token.text : ''
    case 'csi':
      return isPlain(token.parameters, token.final) ? `\u001b[${token.parameters}${token.final}` : ''
    case 'escape':
      // 7, 8: cursor; D, E, M: lines; H: tab; c: reset; =, >: keypad; ( ) * + and one more: character sets.
      return /^([78DEHMc=>]|[()*+][0-9A-Za-z<>=])$/.test(token.text) ? `\u001b${token.text}` : ''
    case 'string':
      return ''
  }
}

// Cursor (A to H, a, d to f, `), tabs (I, Z, g), erasing (J, K, X), inserting and removing (@, L, M, P), scrolling (S, T),
// repeating (b), colours (m), margins (r), cursor kept and back (s, u).
const plainFinals = 'ABCDEFGHIJKLMPSTXZ@abdefgmrsu`'
const modes: ReadonlySet<number> = new Set([4, 20])
/** Cursor keys, reverse video, origin, wrapping, cursor's blinking and being seen, margins, screens, pasting, drawing at once. */
const privateModes: ReadonlySet<number> = new Set([1, 5, 6, 7, 12, 25, 45, 47, 69, 1047, 1048, 1049, 2004, 2026])

/** Only what is known to move, show and erase: everything else may be a question, or switch on what types by itself. */
function isPlain(parameters: string, final: string): boolean {
  const mark = parameters.startsWith('?') ? '?' : ''
  const numbers = parameters.slice(mark.length)
  if (final === 'q') return /^\d? $/.test(parameters) // the cursor's shape
  if (final === 'p') return parameters === '!' // a soft reset
  if (!/^[\d;:]*$/.test(numbers)) return false
  if (final === 'h' || final === 'l') {
    const known = mark === '' ? modes : privateModes
    return numbers.split(';').every((number) => known.has(Number(number)))
  }
  return mark === '' ? plainFinals.includes(final) : final === 'J' || final === 'K'
}
