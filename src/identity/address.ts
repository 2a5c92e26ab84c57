/** One spelling for each address: `::ffff:203.0.113.9` is `203.0.113.9`. */
export function plainAddress(address: string): string {
  const mapped = /^::ffff:(\d{1,3}(?:\.\d{1,3}){3})$/i.exec(address)
  return mapped?.[1] ?? address.toLowerCase()
}
