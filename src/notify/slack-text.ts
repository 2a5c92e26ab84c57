import { oneLine } from './outcome.ts'
import type { Wording } from './words.ts'

const textCharsMax = 300
const quoteCharsMax = 2000

interface TextElement {
  readonly type: 'text'
  readonly text: string
  readonly style?: { readonly bold: true }
}
interface LinkElement {
  readonly type: 'link'
  readonly url: string
  readonly text: string
}
type Element = TextElement | LinkElement
interface Section {
  readonly type: 'rich_text_section' | 'rich_text_quote'
  readonly elements: readonly Element[]
}

/** A button that asks once more before it says anything to us. @see Slack, "Button element", "Confirmation dialog object" */
interface Button {
  readonly type: 'button'
  readonly action_id: SlackActionId
  readonly value: string
  readonly text: PlainText
  readonly style: 'primary' | 'danger'
  readonly confirm: {
    readonly title: PlainText
    readonly text: PlainText
    readonly confirm: PlainText
    readonly deny: PlainText
    readonly style: 'primary' | 'danger'
  }
}
interface PlainText {
  readonly type: 'plain_text'
  readonly text: string
  readonly emoji: false
}
type Block =
  | { readonly type: 'rich_text'; readonly elements: readonly Section[] }
  | { readonly type: 'actions'; readonly elements: readonly Button[] }

export type SlackActionId = 'curfew-approve' | 'curfew-deny'

export interface SlackText {
  /** For notifications on phones, where blocks are not shown. */
  readonly text: string
  readonly blocks: readonly Block[]
}

/**
 * A message in rich text. Its text elements are literal: what people wrote cannot become a mention, a link or markup there.
 * @see Slack, "Rich text block"
 */
export function slackText(
  { headline, lines, quotes, link, decides }: Wording,
  withButtons: boolean = false,
): SlackText {
  const sections: readonly Section[] = [
    section([bold(oneLine(headline, textCharsMax))]),
    section(lines.flatMap(([label, value]) => [plain(`\n${label}: `), bold(oneLine(value, textCharsMax))])),
    ...quotes.flatMap(([label, value]) => [
      section([plain(`\n${oneLine(label, textCharsMax)}:\n`)]),
      { type: 'rich_text_quote', elements: [plain(words(value))] } satisfies Section,
    ]),
    section([plain('\n'), { type: 'link', url: link.url, text: link.text }]),
  ]
  return {
    text: escapeSlack(oneLine(headline, textCharsMax)),
    blocks: [
      { type: 'rich_text', elements: sections.filter(({ elements }) => elements.length > 0) },
      ...(withButtons && decides !== undefined ? [buttons(decides)] : []),
    ],
  }
}

function buttons({ request, approve, deny }: NonNullable<Wording['decides']>): Block {
  const button = (action: SlackActionId, word: string, sentence: string, style: Button['style']): Button => ({
    ...{ type: 'button', action_id: action, value: request, text: label(word), style },
    confirm: {
      ...{ title: label(`${word}?`), text: label(oneLine(sentence, textCharsMax)), style },
      ...{ confirm: label(word), deny: label('Back') },
    },
  })
  return {
    type: 'actions',
    elements: [
      button('curfew-deny', 'Refuse', deny, 'danger'),
      button('curfew-approve', 'Approve', approve, 'primary'),
    ],
  }
}

function label(text: string): PlainText {
  return { type: 'plain_text', text, emoji: false }
}

function section(elements: readonly Element[]): Section {
  return { type: 'rich_text_section', elements }
}

/** Slack refuses empty text. */
function plain(text: string): TextElement {
  return { type: 'text', text: text || ' ' }
}

function bold(text: string): TextElement {
  return { ...plain(text), style: { bold: true } }
}

function words(text: string): string {
  return text.slice(0, quoteCharsMax).replaceAll(/[^\P{Cc}\n]|[\u202a-\u202e\u2066-\u2069]|\p{Cs}/gu, ' ')
}

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' }

/** @see Slack, "Formatting text for app surfaces", Escaping text: mentions and links need the angle brackets. */
export function escapeSlack(text: string): string {
  return text.replaceAll(/[&<>]/g, (character) => entities[character]!)
}
