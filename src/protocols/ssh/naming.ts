import type { Wanted } from './conversation.ts'

const nameShape = /^[a-z0-9_-]{1,63}$/
/** Two names and what stands between them. */
const userLengthMax = 127
const menu: Wanted = { kind: 'menu' }

/**
 * What a user name asks for: `role@resource`, or `role+resource` for clients that make something else of an `@`.
 * Whatever has another form asks for the menu.
 */
export function readUser(user: string): Wanted {
  if (user.length > userLengthMax) return menu
  const at = user.includes('@') ? user.lastIndexOf('@') : user.lastIndexOf('+')
  if (at < 0) return menu
  const [role, resource] = [user.slice(0, at), user.slice(at + 1)]
  return isName(role) && isName(resource) ? { kind: 'session', resource, role } : menu
}

/** Whether a user name that asks for the menu was meant to name a role and a resource. */
export function isMisnamed(user: string): boolean {
  return /[@+]/.test(user) && readUser(user).kind === 'menu'
}

/**
 * The same within a jump, where the resource is known by the host that was jumped to: `role`, or the whole of it.
 * Undefined when it names another resource, or nothing that could be a role.
 */
export function readUserWithin(user: string, resource: string): Wanted | undefined {
  if (isName(user)) return { kind: 'session', resource, role: user }
  const wanted = readUser(user)
  return wanted.kind === 'session' && wanted.resource === resource ? wanted : undefined
}

/** The resource that a jump's host names: alone, or as the first label (`web-1.internal`); undefined when it is no name. */
export function readHost(host: string): string | undefined {
  if (host.length > 253) return undefined
  const first = host.toLowerCase().split('.', 1)[0]!
  return isName(first) ? first : undefined
}

function isName(text: string): boolean {
  return nameShape.test(text)
}
