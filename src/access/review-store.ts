import type { GrantId, RequestId, ReviewId } from '../kernel/ids.ts'
import type { Instant } from '../kernel/time.ts'
import type { ClosedReview, OpenReview, Review } from './review.ts'

export interface ReviewReads {
  review(id: ReviewId): Promise<Review | undefined>
  reviewOf(request: RequestId): Promise<Review | undefined>
  /** The oldest first; `endedAt`: when the access ended, null while it lives. */
  openReviews(): Promise<readonly { readonly review: OpenReview; readonly endedAt: Instant | null }[]>
  /** The last that was closed first. */
  closedReviews(limit: number): Promise<readonly ClosedReview[]>
  /** Those of these grants that were given as an emergency. */
  emergencyGrants(among: readonly GrantId[]): Promise<readonly GrantId[]>
}

/** The database refuses a grant of an emergency without its review, a second word on one, and anybody's word on their own. */
export interface ReviewTx extends ReviewReads {
  insertReview(review: OpenReview): Promise<void>
  /** @throws Fault REVIEW_CLOSED, SELF_APPROVAL */
  updateReview(review: Review): Promise<void>
}
