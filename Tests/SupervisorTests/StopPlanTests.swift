import Supervisor
import Testing

struct StopPlanTests {
    @Test func `sixty seconds are forty for the loop, ten for the gateway, nine for the rest and one to spare`() {
        let plan = StopPlan(grace: 60_000)
        #expect(plan.mainLimit == 40_000)
        #expect(plan.drainLimit == 50_000)
        #expect(plan.wholeLimit == 59_000)
        #expect(plan.strayLimit == 5000)
    }

    @Test(arguments: [1000, 3000, 12_000, 60_000, 3_600_000] as [Int64])
    func `every grace leaves time for the termination message`(grace: Int64) {
        let plan = StopPlan(grace: grace)
        #expect(plan.mainLimit < plan.drainLimit)
        #expect(plan.drainLimit < plan.wholeLimit)
        #expect(grace - plan.wholeLimit == min(1000, grace / 12))
        #expect(plan.strayLimit <= 5000)
    }
}
