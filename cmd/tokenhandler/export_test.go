package main

// ChooseGOGC exports chooseGOGC to the tests.
var ChooseGOGC = chooseGOGC

// IsContainer exports isContainer to the tests.
var IsContainer = isContainer
