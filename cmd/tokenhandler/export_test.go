package main

// ChooseGOGC exports chooseGOGC to the tests.
var ChooseGOGC = chooseGOGC
