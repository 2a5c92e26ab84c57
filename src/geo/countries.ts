import { isIPv6 } from 'node:net'
import { Reader, type Response } from 'mmdb-lib'
import { NoMmdbFile } from '../kernel/mmdb-file.ts'
import type { CountryLookup } from '../policy/countries.ts'

/** What a database says about countries. */
export interface Countries {
  /** Never throws. */
  readonly lookup: CountryLookup
  /** For the log. */
  readonly about: { readonly type: string; readonly built: string }
}

const dataSeparatorBytes = 16

/** @param bytes of a whole file in the format of MaxMind DB. @throws NoMmdbFile */
export function countriesIn(bytes: Buffer): Countries {
  const reader = readerOf(bytes)
  const { databaseType, buildEpoch, ipVersion } = reader.metadata
  const find = (address: string) => {
    // A tree of IPv4 addresses would lead the bits of an IPv6 address somewhere.
    return ipVersion === 4 && isIPv6(address) ? undefined : codeIn(reader.get(address))
  }
  tryAll(find)
  const lookup = (address: string) => {
    try {
      return find(address)
    } catch {
      return undefined // what is broken in one place of the file is not known
    }
  }
  return { lookup, about: { type: databaseType, built: attempt(() => buildEpoch.toISOString()) } }
}

function readerOf(bytes: Buffer): Reader<Response> {
  const reader = attempt(() => new Reader<Response>(bytes))
  const { databaseType, nodeCount, searchTreeSize, ipVersion, binaryFormatMajorVersion } = reader.metadata
  const isWhole = nodeCount > 0 && searchTreeSize + dataSeparatorBytes < bytes.length
  if (binaryFormatMajorVersion !== 2 || ![4, 6].includes(ipVersion) || !isWhole) throw new NoMmdbFile('is broken')
  // GeoLite2-Country, GeoIP2-City, DBIP-Country-Lite, ipinfo bundle_location_lite.mmdb; not GeoLite2-ASN
  if (!/country|city|enterprise|location/i.test(databaseType)) {
    throw new NoMmdbFile(`is a database of something else than countries (${databaseType})`)
  }
  return reader
}

/** A file that is damaged as a whole shows it here, and not when somebody asks. */
function tryAll(find: CountryLookup): void {
  attempt(() => {
    for (let first = 1; first < 224; first++) find(`${first}.1.1.1`)
  })
}

function attempt<T>(read: () => T): T {
  try {
    return read()
  } catch (cause) {
    throw new NoMmdbFile('is broken', { cause })
  }
}

/** `{ country: { iso_code } }` as MaxMind and DB-IP write it, `{ country_code }` or `{ country }` as IPinfo does. */
function codeIn(record: unknown): string | undefined {
  const { country, country_code: code } = mapOf(record)
  return [mapOf(country)['iso_code'], code, country].find((one) => typeof one === 'string')
}

function mapOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}
