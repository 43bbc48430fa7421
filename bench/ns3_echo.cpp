// The same UDP echo in ns-3: two nodes on a 10 Gb/s link, a fixed number of requests
// in flight. It has neither caches, PCIe, IOMMU, rings nor an operating system; it is
// the yardstick for speed, not for detail. Prints: packets (a leg each) and
// seconds of processor time.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "ns3/applications-module.h"
#include "ns3/core-module.h"
#include "ns3/internet-module.h"
#include "ns3/network-module.h"
#include "ns3/point-to-point-module.h"
#include "ns3/traffic-control-module.h"

using namespace ns3;

namespace {

uint64_t wanted, received;
uint32_t payload_bytes;
Ptr<Socket> client;

double ProcessorSeconds() {
    timespec now = {};
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

void Send() {
    client->Send(Create<Packet>(payload_bytes));
}

void OnReply(Ptr<Socket> socket) {
    while (socket->Recv() != nullptr) {
        if (++received >= wanted) {
            Simulator::Stop();
            return;
        }
        Send();
    }
}

} // namespace

int main(int argc, char *argv[]) {
    wanted = argc > 1 ? strtoull(argv[1], nullptr, 10) : 100000;
    const uint32_t outstanding = argc > 2 ? static_cast<uint32_t>(strtoul(argv[2], nullptr, 10)) : 1;
    payload_bytes = argc > 3 ? static_cast<uint32_t>(strtoul(argv[3], nullptr, 10)) : 64;

    NodeContainer nodes;
    nodes.Create(2);
    PointToPointHelper link;
    link.SetDeviceAttribute("DataRate", StringValue("10Gbps"));
    link.SetChannelAttribute("Delay", StringValue("1us"));
    link.SetQueue("ns3::DropTailQueue", "MaxSize", StringValue("1000p"));
    const NetDeviceContainer devices = link.Install(nodes);
    InternetStackHelper().Install(nodes);
    Ipv4AddressHelper addresses;
    addresses.SetBase("10.0.0.0", "255.255.255.0");
    const Ipv4InterfaceContainer interfaces = addresses.Assign(devices);
    TrafficControlHelper().Uninstall(devices); // no queue discipline: ns-3 at its fastest
    UdpEchoServerHelper server(7);
    server.Install(nodes.Get(1)).Start(Seconds(0));
    client = Socket::CreateSocket(nodes.Get(0), UdpSocketFactory::GetTypeId());
    client->Bind();
    client->Connect(InetSocketAddress(interfaces.GetAddress(1), 7));
    client->SetRecvCallback(MakeCallback(&OnReply));
    for (uint32_t i = 0; i < outstanding; i++) {
        Simulator::Schedule(Seconds(1), &Send);
    }
    const double begin = ProcessorSeconds();
    Simulator::Run();
    const double spent = ProcessorSeconds() - begin;
    std::printf("%llu %.6f\n", static_cast<unsigned long long>(2 * received), spent);
    Simulator::Destroy();
    return 0;
}
