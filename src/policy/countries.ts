import { isIP } from 'node:net'
import { plainAddress } from '../identity/address.ts'
import { isIn, networksOf } from './networks.ts'

/**
 * Two letters of ISO 3166-1; `none` for an address that belongs to no country, as it is used inside only; `unknown` for
 * one of which nobody can say.
 */
export type Country = string

// ISO 3166-1 alpha-2, and XK, which databases use for Kosovo.
const codes = new Set(
  `AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC
  CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE
  GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM
  KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ
  NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH
  SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG
  VI VN VU WF WS XK YE YT ZA ZM ZW`.split(/\s+/),
)

/** Whether it is a code of a country, in capital letters. */
export function isCountryCode(text: string): boolean {
  return codes.has(text)
}

/** Address -> code, as a database knows it; undefined: it does not. Gets IPv4 addresses written as such. */
export type CountryLookup = (address: string) => string | undefined

/** Where an address is, however it is written. */
export function countryFinder(lookup: CountryLookup): (address: string) => Country {
  const inside = networksOf(insideNetworks)
  return (address) => {
    const plain = plainAddress(address.replace(/%.*$/, ''))
    if (isIP(plain) === 0) return 'unknown'
    if (isIn(inside, plain)) return 'none'
    const code = lookup(plain)
    return code !== undefined && isCountryCode(code) ? code : 'unknown'
  }
}

// Loopback, link-local, private and shared addresses. RFC 6890; RFC 4193.
const insideNetworks = [
  ...['127.0.0.0/8', '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '169.254.0.0/16', '100.64.0.0/10'],
  ...['::1', 'fc00::/7', 'fe80::/10'],
]
