/** What stands in the place of a password. */
export const mask = '[masked]'

/**
 * Without any of these a text is left alone, which is nearly always: `api_key`, `access_key` and `token` are among them.
 * Written with few letters to begin with, as it is tried on every statement.
 */
export const worthLooking: RegExp =
  /p(?:ass(?:word|wd|phrase|code)|wd|rivate_?key|rogram|i_?key)|s(?:ecret|s_?key)|ken|:\/\//i
/** `password=…` in a connection string, up to where it must end; a quoted one is taken to the end of the text. */
const pairSecret =
  /((?:ssl)?(?:password|passwd|passphrase|passcode|secret)\s*=\s*)(?:[^\s'"\\&;,]+(?=[\s&;,]|$)|[\s\S]+)/gi
/** `PASSWORD '…'`, where somebody quotes a statement: an error, a log line, a text that is executed elsewhere. */
const spokenPair = /((?:pass(?:word|wd)|passphrase)\s+(?:[enbx]|u&)?)'+(?:[^'\\]|''|\\[\s\S])*'*/gi
/** `scheme://name:password@host`: how long the name and the password may be. */
const [urlNameCharsMax, urlSecretCharsMax] = [256, 512]
const urlNameEnd: Uint8Array = table(/[\s/?#:@'"]/)
const urlSecretEnd: Uint8Array = table(/[\s@]/)

/** Takes passwords out of a text that is no SQL, such as a bound value or an error: those of connection strings, and of `PASSWORD '…'`. */
export function maskText(text: string): string {
  return worthLooking.test(text) ? maskPairs(text.replaceAll(spokenPair, `$1'${mask}'`)) : text
}

export function maskPairs(text: string): string {
  return maskUrls(text).replaceAll(pairSecret, `$1${mask}`)
}

/** Looks at each character once or twice, whatever is in the text; a regular expression would try at every `://`. */
export function maskUrls(text: string): string {
  let out = ''
  let [copied, secretEnd] = [0, -1]
  for (let at = text.indexOf('://'); at >= 0; at = text.indexOf('://', at + 1)) {
    if (at < copied) continue
    const nameFrom = at + '://'.length
    const nameEnd = firstOf(urlNameEnd, text, nameFrom)
    if (text[nameEnd] !== ':' || nameEnd - nameFrom > urlNameCharsMax) continue
    const from = nameEnd + 1
    if (secretEnd < from) secretEnd = firstOf(urlSecretEnd, text, from)
    if (text[secretEnd] !== '@' || secretEnd === from || secretEnd - from > urlSecretCharsMax) continue
    out += text.slice(copied, from) + mask
    copied = secretEnd
  }
  return out + text.slice(copied)
}

/** Of a text that was cut off: the end may be a name and the beginning of its password. */
const unfinishedUrl = /(:\/\/[^\s/?#:@'"]{0,256}:)[^\s@]{1,512}$/

export function maskUnfinishedUrl(text: string): string {
  const from = Math.max(0, text.length - urlNameCharsMax - urlSecretCharsMax - ':///'.length)
  return text.slice(0, from) + text.slice(from).replace(unfinishedUrl, `$1${mask}`)
}

/** 1 for each character that matches. */
function table(character: RegExp): Uint8Array {
  return Uint8Array.from({ length: 0x1_0000 }, (_, code) => Number(character.test(String.fromCharCode(code))))
}

function firstOf(end: Uint8Array, text: string, from: number): number {
  let at = from
  while (at < text.length && end[text.charCodeAt(at)] === 0) at += 1
  return at
}
