package command

import (
	"google.golang.org/protobuf/proto"

	pb "kvorum/node/gen/command"
)

type golden struct {
	command *pb.Command
	golden  string
	format  uint32
}

// Logs hold these bytes for years. A change here is a change of the format.
func goldens() map[string]golden {
	return map[string]golden{
		"conditional": {
			conditional(),
			"080310fbd095ffbc311a350a083a060a016b1a01770a0a3a080a016b12001a01770a0842060a016e10d7040a0a0a080a016b12017620010a0712050a016b1801", 3,
		},
		"transaction": {
			transaction(),
			"080310fbd095ffbc311a4f0a4d4a4b0a080a016b100418ac020a070a016b100222000a070a016b1001280012050a030a016b120a12080a016b120176180312051a030a016b120a22080a016b12017618631a072a050a016e1001", 3,
		},
		"writes": {
			writes(put("k", "v", nil), put("k", "", proto.Uint64(0)), remove("d", nil), remove("d", proto.Uint64(300))),
			"080110fbd095ffbc311a240a080a060a016b1201760a070a050a016b18000a0512030a01640a0812060a016410ac02", 1,
		},
		"assign":           {assign(7, &pb.PartitionRange{First: 0, Last: 511}, &pb.PartitionRange{First: 600, Last: 600}), "08011005220f0807120310ff03120608d80410d804", 1},
		"times to live":    {mortal()[0], "080310fbd095ffbc311a160a0b0a090a016b12017628ac020a0752050a016b1007", 3},
		"imported for now": {mortal()[1], "08031005321808ac02120a0a016b120176180720011a0164220408091004", 3},
		"expiry":           {mortal()[2], "080310054a030a016b", 3},
		"move":             {freeze(), "080110052a0e080210ac021a040801100920b817", 1},
		"import":           {imported(), "08011005321608ac0212080a016b12017618071a0164220408091004", 1},
		"sweep":            {swept(), "080110053a0c0a016b12070801100918ac02", 1},
		"raise":            {raised(2), "0802100542020802", 1},
		"no write":         {writes(), "080110fbd095ffbc311a00", 1},
		"session":          {inSession(), "080110fbd095ffbc311a370a0e280130051a080a016b12017618630a0f220d09080706050403020110e0d40312140a10303132333435363738396162636465661004", 1},
	}
}
