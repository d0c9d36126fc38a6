package tag_test

import "testing"

// TestFirefox runs the core of the list in Firefox: the tests themselves, which
// run in Chromium under their own names, with a tab of the other browser.
func TestFirefox(t *testing.T) {
	for _, part := range []struct {
		name string
		test func(*testing.T)
	}{
		{"stub queue", TestStubQueueIsReplayedWithItsOwnTimes},
		{"listeners of the stub", TestListenersOfTheStubHearTheFirstEvents},
		{"profile in the same round trip", TestProfileComesInTheSameRoundTrip},
		{"routes", TestRoutesOfASinglePageSite},
		{"180 KB at unload", TestManySmallBatches},
		{"click then navigate", TestClickThenNavigateAtOnce},
		{"close in the batch window", TestCloseInsideTheBatchWindow},
		{"left in flight", TestLeavingWithRequestsInFlight},
		{"offline", TestOfflineThenOnline},
		{"503", TestRefusedForAWhileIsRepeatedWithTheSameIds},
		{"one at a time", TestFirstRequestsGoOneAtATime},
		{"second user", TestResetThenASecondUser},
		{"masking", TestNothingTypedIsSent},
		{"storage", TestStorageBlockedOrFull},
		{"storage that is really full", TestStorageThatIsFull},
		{"consent", TestConsentPendingGrantedDenied},
		{"consent withdrawn while a request flies", TestConsentWithdrawnWhileARequestFlies},
		{"without a cookie", TestCountingWithoutACookie},
		{"consent mode", TestConsentMode},
		{"summaries", TestEachViewHasItsSummary},
		{"search and campaign", TestSearchAndCampaign},
		{"slot", TestSlotShowsTheVariant},
		{"slot, late and cached", TestSlotTimesOutAndIsCachedForTheNextPage},
		{"slot of a gateway that hangs", TestWaitingSlotOfAGatewayThatHangs},
		{"slot shown by the gateway", TestSlotShownByTheGateway},
		{"answer in the page", TestAnswerInThePage},
		{"policy", TestStrictPolicyIsNotViolated},
		{"policy with everything on", TestPolicyWithEverythingOn},
		{"back/forward cache", TestReturnFromTheCache},
		{"return is one page view", TestReturnIsOnePageView},
		{"return of a page that could not deliver", TestReturnOfAPageThatCouldNotDeliver},
	} {
		t.Run(part.name, part.test)
	}
}
