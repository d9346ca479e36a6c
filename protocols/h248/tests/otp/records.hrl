%% What Erlang/OTP's megaco application expects a version 3 message to look like: the fields of A.2 in order.
-define(NO, asn1_NOVALUE).
-record(megaco_term_id, {contains_wildcards = false, id}).
-record('MegacoMessage', {authHeader = ?NO, mess}).
-record('AuthenticationHeader', {secParmIndex, seqNum, ad}).
-record('Message', {version = 3, mId, messageBody}).
-record('DomainName', {name, portNumber = ?NO}).
-record('IP4Address', {address, portNumber = ?NO}).
-record('IP6Address', {address, portNumber = ?NO}).
-record('TransactionRequest', {transactionId, actions = []}).
-record('TransactionPending', {transactionId}).
-record('TransactionReply', {transactionId, immAckRequired = ?NO, transactionResult,
                             segmentNumber = ?NO, segmentationComplete = ?NO}).
-record('SegmentReply', {transactionId, segmentNumber, segmentationComplete = ?NO}).
-record('TransactionAck', {firstAck, lastAck = ?NO}).
-record('ErrorDescriptor', {errorCode, errorText = ?NO}).
-record('ActionRequest', {contextId, contextRequest = ?NO, contextAttrAuditReq = ?NO,
                          commandRequests = []}).
-record('ActionReply', {contextId, errorDescriptor = ?NO, contextReply = ?NO, commandReply = []}).
-record('ContextRequest', {priority = ?NO, emergency = ?NO, topologyReq = ?NO, iepscallind = ?NO,
                           contextProp = ?NO, contextList = ?NO}).
-record('ContextAttrAuditRequest', {topology = ?NO, emergency = ?NO, priority = ?NO,
                                    iepscallind = ?NO, contextPropAud = ?NO, selectpriority = ?NO,
                                    selectemergency = ?NO, selectiepscallind = ?NO,
                                    selectLogic = ?NO}).
-record('CommandRequest', {command, optional = ?NO, wildcardReturn = ?NO}).
-record('TopologyRequest', {terminationFrom, terminationTo, topologyDirection, streamID = ?NO,
                            topologyDirectionExtension = ?NO}).
-record('AmmRequest', {terminationID = [], descriptors = []}).
-record('AmmsReply', {terminationID = [], terminationAudit = ?NO}).
-record('SubtractRequest', {terminationID = [], auditDescriptor = ?NO}).
-record('AuditRequest', {terminationID, auditDescriptor, terminationIDList = ?NO}).
-record('AuditResult', {terminationID, terminationAuditResult = []}).
-record('TermListAuditResult', {terminationIDList, terminationAuditResult = []}).
-record('AuditDescriptor', {auditToken = ?NO, auditPropertyToken = ?NO}).
-record('IndAudMediaDescriptor', {termStateDescr = ?NO, streams = ?NO}).
-record('IndAudStreamDescriptor', {streamID, streamParms}).
-record('IndAudStreamParms', {localControlDescriptor = ?NO, localDescriptor = ?NO,
                              remoteDescriptor = ?NO, statisticsDescriptor = ?NO}).
-record('IndAudLocalRemoteDescriptor', {propGroupID = ?NO, propGrps = []}).
-record('IndAudLocalControlDescriptor', {streamMode = ?NO, reserveValue = ?NO, reserveGroup = ?NO,
                                         propertyParms = ?NO, streamModeSel = ?NO}).
-record('IndAudPropertyParm', {name, propertyParms = ?NO}).
-record('IndAudTerminationStateDescriptor', {propertyParms = [], eventBufferControl = ?NO,
                                             serviceState = ?NO, serviceStateSel = ?NO}).
-record('IndAudEventsDescriptor', {requestID = ?NO, pkgdName, streamID = ?NO}).
-record('IndAudEventBufferDescriptor', {eventName, streamID = ?NO}).
-record('IndAudSeqSigList', {id, signalList = ?NO}).
-record('IndAudSignal', {signalName, streamID = ?NO, signalRequestID = ?NO}).
-record('IndAudDigitMapDescriptor', {digitMapName = ?NO}).
-record('IndAudStatisticsDescriptor', {statName}).
-record('IndAudPackagesDescriptor', {packageName, packageVersion}).
-record('NotifyRequest', {terminationID = [], observedEventsDescriptor, errorDescriptor = ?NO}).
-record('NotifyReply', {terminationID = [], errorDescriptor = ?NO}).
-record('ObservedEventsDescriptor', {requestId, observedEventLst = []}).
-record('ObservedEvent', {eventName, streamID = ?NO, eventParList = [], timeNotation = ?NO}).
-record('EventParameter', {eventParameterName, value, extraInfo = ?NO}).
-record('ServiceChangeRequest', {terminationID = [], serviceChangeParms}).
-record('ServiceChangeReply', {terminationID = [], serviceChangeResult = []}).
-record('MediaDescriptor', {termStateDescr = ?NO, streams = ?NO}).
-record('StreamDescriptor', {streamID, streamParms}).
-record('StreamParms', {localControlDescriptor = ?NO, localDescriptor = ?NO,
                        remoteDescriptor = ?NO, statisticsDescriptor = ?NO}).
-record('LocalControlDescriptor', {streamMode = ?NO, reserveValue = ?NO, reserveGroup = ?NO,
                                   propertyParms = []}).
-record('PropertyParm', {name, value, extraInfo = ?NO}).
-record('LocalRemoteDescriptor', {propGrps = []}).
-record('TerminationStateDescriptor', {propertyParms = [], eventBufferControl = ?NO,
                                       serviceState = ?NO}).
-record('MuxDescriptor', {muxType, termList = [], nonStandardData = ?NO}).
-record('EventsDescriptor', {requestID, eventList = []}).
-record('RequestedEvent', {pkgdName, streamID = ?NO, eventAction = ?NO, evParList = []}).
-record('RegulatedEmbeddedDescriptor', {secondEvent = ?NO, signalsDescriptor = ?NO}).
-record('RequestedActions', {keepActive = ?NO, eventDM = ?NO, secondEvent = ?NO,
                             signalsDescriptor = ?NO, notifyBehaviour = ?NO,
                             resetEventsDescriptor = ?NO}).
-record('SecondEventsDescriptor', {requestID, eventList = []}).
-record('SecondRequestedEvent', {pkgdName, streamID = ?NO, eventAction = ?NO, evParList = []}).
-record('SecondRequestedActions', {keepActive = ?NO, eventDM = ?NO, signalsDescriptor = ?NO,
                                   notifyBehaviour = ?NO, resetEventsDescriptor = ?NO}).
-record('EventSpec', {eventName, streamID = ?NO, eventParList = []}).
-record('SeqSigList', {id, signalList = []}).
-record('Signal', {signalName, streamID = ?NO, sigType = ?NO, duration = ?NO,
                   notifyCompletion = ?NO, keepActive = ?NO, sigParList = [], direction = ?NO,
                   requestID = ?NO, intersigDelay = ?NO}).
-record('SigParameter', {sigParameterName, value, extraInfo = ?NO}).
-record('DigitMapDescriptor', {digitMapName = ?NO, digitMapValue = ?NO}).
-record('DigitMapValue', {startTimer = ?NO, shortTimer = ?NO, longTimer = ?NO, digitMapBody,
                          durationTimer = ?NO}).
-record('ServiceChangeParm', {serviceChangeMethod, serviceChangeAddress = ?NO,
                              serviceChangeVersion = ?NO, serviceChangeProfile = ?NO,
                              serviceChangeReason, serviceChangeDelay = ?NO,
                              serviceChangeMgcId = ?NO, timeStamp = ?NO, nonStandardData = ?NO,
                              serviceChangeInfo = ?NO, serviceChangeIncompleteFlag = ?NO}).
-record('ServiceChangeResParm', {serviceChangeMgcId = ?NO, serviceChangeAddress = ?NO,
                                 serviceChangeVersion = ?NO, serviceChangeProfile = ?NO,
                                 timeStamp = ?NO}).
-record('NonStandardData', {nonStandardIdentifier, data}).
-record('ServiceChangeProfile', {profileName, version}).
-record('PackagesItem', {packageName, packageVersion}).
-record('StatisticsParameter', {statName, statValue = ?NO}).
-record('TimeNotation', {date, time}).
