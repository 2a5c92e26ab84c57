import { Fault } from '../../kernel/fault.ts'

/** How hints name pages of the gateway, and where those are. */
const pages = [
  ['your access page', '/'],
  ['the page "Sessions"', '/sessions'],
  ['the page "Sign-ins"', '/sign-ins'],
] as const

/**
 * A client shows a hint and nothing around it: where it names a page, it is to say where that is.
 * @param gateway any address of the gateway's pages
 */
export function withPageLink(fault: Fault, gateway: URL): Fault {
  const { code, message, hint, cause } = fault
  const page = pages.find(([name]) => hint.includes(name))
  if (page === undefined || hint.includes('://')) return fault
  return new Fault(code, message, { cause, hint: `${hint.replace(/\.$/, '')}: ${new URL(page[1], gateway).href}` })
}
