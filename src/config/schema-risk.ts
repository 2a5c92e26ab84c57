import * as z from 'zod'
import { riskDefaults, riskFactorCodes, type RiskFactorCode } from '../policy/risk.ts'
import { zone } from './schema-circumstances.ts'
import { filePath } from './schema-fields.ts'

export const geoSchema = z
  .strictObject({
    file: filePath(
      'File in the format of MaxMind DB with the countries of addresses, such as GeoLite2-Country.mmdb. It is read again when it changes.',
    ),
  })
  .meta({ description: 'In which country addresses are: for `from.countries`, `client.country` and risk.' })

const score = (about: string) => z.int().min(1).max(100).meta({ description: about })

const factors: Readonly<Record<RiskFactorCode, string>> = {
  'first-time': 'They never had access to that resource.',
  'new-country': 'They never came from that country. Needs `geo`.',
  'new-network': 'They never came from that network: 24 bits of IPv4, 48 of IPv6.',
  'unusual-hour': 'None of their sessions began within an hour of that time of day.',
  'longer-than-usual': 'More than twice as long as they usually have that resource.',
  sensitive: 'The resource carries a label of `sensitive`.',
  'refused-lately': 'For each request of theirs that was refused within 30 days, at most three.',
  'failed-lately': 'For each attempt of theirs that was turned away within 24 hours, at most three.',
}

const weight = (code: RiskFactorCode) =>
  z
    .int()
    .min(0)
    .max(100)
    .default(riskDefaults.weights[code])
    .meta({ description: `${factors[code]} 0: does not count.` })

/** One field for each factor, whatever is added. */
const weightFields = Object.fromEntries(riskFactorCodes.map((code) => [code, weight(code)])) as Record<
  RiskFactorCode,
  ReturnType<typeof weight>
>

export const riskSchema = z
  .strictObject({
    zone,
    sensitive: z
      .record(z.string(), z.array(z.string()).min(1))
      .default({ ...riskDefaults.sensitive } as Record<string, string[]>)
      .meta({ description: 'Labels, and values of each, that make a resource sensitive.' }),
    levels: z
      .strictObject({
        medium: score('The least score that is `medium`.').default(riskDefaults.levels.medium),
        high: score('The least score that is `high`.').default(riskDefaults.levels.high),
      })
      .prefault({})
      .meta({ description: 'Levels of the score, which is 0 to 100.' }),
    weights: z.strictObject(weightFields).prefault({}).meta({ description: 'What each factor adds to the score.' }),
  })
  .prefault({})
  .meta({ description: 'How the risk of a request is worked out; see risk.md.' })
