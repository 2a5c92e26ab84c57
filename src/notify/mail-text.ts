import { createHash } from 'node:crypto'
import type { SendMailOptions } from 'nodemailer'
import { isAsking, type Notice, type QueuedMessage } from '../access/outbox.ts'
import type { MailSettings } from '../config/notify-settings.ts'
import type { NoticeFacts } from './facts.ts'
import { oneLine } from './outcome.ts'
import { requestTopic, wordingOf, type Wording } from './words.ts'

const subjectCharsMax = 180
const lineCharsMax = 400
const quoteCharsMax = 4000

/**
 * The whole mail. Names, reasons and comments are people's own words: none reaches a header but the subject, and there as
 * one line.
 * @param host what ids of mails end with: the host of the pages.
 * @param follows whether this recipient was asked about the same request before.
 */
export function composeMail(
  { message, notice }: QueuedMessage,
  settings: Pick<MailSettings, 'from' | 'replyTo'>,
  host: string,
  follows = false,
): SendMailOptions {
  const facts = notice.data as NoticeFacts
  const wording = wordingOf(notice.type, facts, message.audience)
  const thread = threadOf(notice, facts, message.recipient, host, follows)
  return {
    from: { name: 'Curfew', address: settings.from },
    to: { name: '', address: message.recipient },
    ...(settings.replyTo !== null && { replyTo: { name: '', address: settings.replyTo } }),
    envelope: { from: settings.from, to: [message.recipient] },
    subject: subjectOf(facts, wording, message.audience === 'requester', thread.answers),
    messageId: thread.id,
    ...(thread.answers && { inReplyTo: thread.root, references: [thread.root] }),
    // RFC 3834 section 5, and the same for Exchange: no out-of-office notes come back.
    headers: { 'Auto-Submitted': 'auto-generated', 'X-Auto-Response-Suppress': 'All' },
    text: mailText(wording),
    html: mailHtml(wording),
    ...{ disableFileAccess: true, disableUrlAccess: true },
  }
}

interface Thread {
  readonly id: string
  readonly root: string
  /** Whether it follows the root. */
  readonly answers: boolean
}

/** One thread for each request and recipient; its first mail has an id that later ones can make again. */
function threadOf({ id, type }: Notice, facts: NoticeFacts, recipient: string, host: string, follows: boolean): Thread {
  const mark = createHash('sha256').update(recipient).digest('hex').slice(0, 16)
  const request =
    facts.request?.id ?? facts.grant?.request ?? facts.review?.id ?? facts.campaign?.id ?? facts.statement?.id ?? id
  const root = `<${request}.${mark}@${host}>`
  const first =
    (isAsking(type) && !follows) ||
    type === 'break-glass.used' ||
    type === 'campaign.started' ||
    type === 'statement.asked' ||
    request === id
  return { id: first ? root : `<${safeId(id)}.${mark}@${host}>`, root, answers: !first }
}

function safeId(id: string): string {
  return id.replaceAll(/[^A-Za-z0-9.-]/g, '-')
}

/** Mail programs keep a thread together by its subject, too. */
function subjectOf(facts: NoticeFacts, { headline }: Wording, requester: boolean, answers: boolean): string {
  const topic = facts.request !== undefined && answers && !requester ? `Re: ${requestTopic(facts.request)}` : headline
  return oneLine(topic, subjectCharsMax)
}

export function mailText({ headline, lines, quotes, link }: Wording): string {
  const facts = lines.map(([label, text]) => `${label}: ${oneLine(text, lineCharsMax)}`)
  const quoted = quotes.map(([label, text]) => `${oneLine(label, lineCharsMax)}:\n${quote(text)}`)
  const parts = [oneLine(headline, lineCharsMax), facts.join('\n'), ...quoted, `${link.text}:\n${link.url}`, footer]
  return `${parts.join('\n\n')}\n`
}

const footer = 'You get this because you may decide, asked, or are on a list of Curfew. Do not answer; use the link.'

/** Each line marked, so that nothing in it looks like ours. */
function quote(text: string): string {
  return ownLines(text)
    .map((line) => `> ${line}`)
    .join('\n')
}

function ownLines(text: string): readonly string[] {
  return text
    .slice(0, quoteCharsMax)
    .split(/\r\n|[\n\r\u2028\u2029\u0085\v\f]/)
    .map((line) => oneLine(line, quoteCharsMax))
}

export function mailHtml({ headline, lines, quotes, link }: Wording): string {
  const cell = 'padding:2px 12px 2px 0;vertical-align:top'
  const rows = lines.map(
    ([label, text]) =>
      `<tr><td style="${cell};color:#555">${escapeHtml(label)}</td><td style="${cell}">${escapeHtml(oneLine(text, lineCharsMax))}</td></tr>`,
  )
  const quoted = quotes.map(
    ([label, text]) =>
      `<p style="margin:12px 0 4px;color:#555">${escapeHtml(oneLine(label, lineCharsMax))}</p>` +
      `<blockquote style="margin:0;padding-left:12px;border-left:3px solid #ccc">${ownLines(text).map(escapeHtml).join('<br>')}</blockquote>`,
  )
  return `<!doctype html><html lang="en"><body style="font-family:sans-serif;font-size:15px;color:#111">
<h1 style="font-size:18px">${escapeHtml(oneLine(headline, lineCharsMax))}</h1>
<table style="border-collapse:collapse">${rows.join('')}</table>
${quoted.join('\n')}
<p style="margin:20px 0"><a href="${escapeHtml(link.url)}">${escapeHtml(link.text)}</a></p>
<p style="color:#777;font-size:12px">${escapeHtml(footer)}</p>
</body></html>`
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

export function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => entities[character]!)
}
