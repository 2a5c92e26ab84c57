import type { GrantId } from '../../../kernel/ids.ts'

/** Every user that is made begins so. */
export const namePrefix = 'curfew_'
const slugCharsMax = 40
const uniqueCharsMax = 8

/**
 * What a user is called: whoever reads the target's log knows the person, and one grant has one name however often its
 * user is made. At most 56 bytes of a-z, 0-9 and _.
 */
export function userName(personName: string, grant: GrantId): string {
  const words = personName.normalize('NFKD').toLowerCase().replaceAll(/\p{M}/gu, '')
  const slug = trimmed(words.replaceAll(/[^a-z0-9]+/g, '_')).slice(0, slugCharsMax)
  const unique = grant
    .slice('grant-'.length)
    .replaceAll(/[^a-z0-9]/g, '')
    .slice(0, uniqueCharsMax)
  return `${namePrefix}${trimmed(slug) || 'person'}_${unique}`
}

function trimmed(words: string): string {
  return words.replaceAll(/^_+|_+$/g, '')
}

/** Whose a user is: its comment at the target. */
export interface Mark {
  /** The gateway's name. */
  readonly gateway: string
  readonly resource: string
  readonly role: string
  readonly grant: string
  readonly person: string
}

const markPrefix = 'Curfew: '
const personCharsMax = 200

/** ASCII only, so that it fits into a database of any encoding. */
export function writeMark(mark: Mark): string {
  const json = JSON.stringify({ ...mark, person: mark.person.slice(0, personCharsMax) })
  const escaped = json.replaceAll(/[^\x20-\x7e]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
  return markPrefix + escaped
}

/** Undefined for a comment that is not one of ours. */
export function readMark(comment: string): Mark | undefined {
  if (!comment.startsWith(markPrefix)) return undefined
  try {
    const { gateway, resource, role, grant, person } = JSON.parse(comment.slice(markPrefix.length)) as Partial<Mark>
    const texts = [gateway, resource, role, grant, person]
    return texts.every((text) => typeof text === 'string')
      ? ({ gateway, resource, role, grant, person } as Mark)
      : undefined
  } catch {
    return undefined // somebody else's words
  }
}
