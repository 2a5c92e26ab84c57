import type { CampaignId, EntryId, PersonId, TokenId } from '../kernel/ids.ts'
import type { Instant } from '../kernel/time.ts'
import type { Campaign, Entry } from './campaign.ts'

/** A token as a campaign looks at it. */
export interface LongToken {
  readonly id: TokenId
  readonly person: PersonId
  readonly label: string
  readonly scopes: string
  readonly createdAt: Instant
  readonly expiresAt: Instant
  readonly lastUsedAt: Instant | null
}

export interface CampaignReads {
  campaign(id: CampaignId): Promise<Campaign | undefined>
  /** The last that began first. */
  campaigns(limit: number): Promise<readonly Campaign[]>
  runningCampaigns(): Promise<readonly Campaign[]>
  entry(id: EntryId): Promise<Entry | undefined>
  /** In the order of the snapshot. */
  entriesOf(campaign: CampaignId): Promise<readonly Entry[]>
  waitingEntries(campaign: CampaignId, limit: number): Promise<readonly Entry[]>
  /** Not ended, not over at `at`, made for at least `lengthMs`. */
  longTokens(lengthMs: number, at: Instant, limit: number): Promise<readonly LongToken[]>
}

/** The database refuses a second word on an entry, a word at the due date or later, anybody's word on their own, and silence before. */
export interface CampaignTx extends CampaignReads {
  insertCampaign(campaign: Campaign): Promise<void>
  insertEntry(entry: Entry, position: number): Promise<void>
  /** @throws Fault REVIEW_CLOSED, SELF_APPROVAL */
  updateEntry(entry: Entry): Promise<void>
  updateCampaign(campaign: Campaign): Promise<void>
  /** @returns what it was, if it had not ended already and was not over. */
  endLongToken(id: TokenId, at: Instant): Promise<LongToken | undefined>
}
